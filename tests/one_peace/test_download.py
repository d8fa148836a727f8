"""Downloads against a server on this machine that breaks off, lies, or changes its mind."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchkit.cli.main import run
from searchkit.errors import DiskFull, DownloadError, ModelNotFound
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.download import download
from searchkit.one_peace.pull import pull_model

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; breaks after `break_after` bytes of a response for the first `breaks` requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.tag = '"one"'
        self.breaks = 0
        self.break_after = 300_000
        self.ranges = True
        self.asked: list[str | None] = []
        self.stall_after = 0
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.pt"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") in (None, server.tag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.send_header("ETag", server.tag)
        self.end_headers()
        body = server.content[start:]
        if server.stall_after:
            self.wfile.write(body[: server.stall_after])
            self.wfile.flush()
            server.released.wait()
            return
        if server.breaks > 0:
            server.breaks -= 1
            body = body[: server.break_after]
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_broken_connection_is_taken_up_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    steps: list[tuple[int, int]] = []
    target = tmp_path / "model.pt"
    found = download(server.url, target, progress=lambda done, total: steps.append((done, total)), wait_s=0)
    assert target.read_bytes() == CONTENT
    assert found == hashlib.sha256(CONTENT).hexdigest()
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "model.pt.sha256"]


def test_a_later_run_goes_on_and_a_finished_file_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    server.breaks, server.break_after = 99, 0
    target = tmp_path / "model.pt"
    with pytest.raises(DownloadError, match="broke after 0 bytes"):
        download(server.url, target, attempts=2, wait_s=0)
    server.breaks, server.break_after = 1, 300_000
    server.asked.clear()
    download(server.url, target, wait_s=0)
    assert server.asked[-1] == "bytes=300000-"
    server.asked.clear()
    download(server.url, target, wait_s=0)
    assert server.asked == []


def test_a_file_that_changed_on_the_server_is_fetched_from_the_start(server: Server, tmp_path: Path) -> None:
    server.breaks = 99
    server.break_after = 1000
    target = tmp_path / "model.pt"
    part = tmp_path / ".model.pt.part"

    def change(done: int, total: int) -> None:
        if done >= 2000:
            server.breaks, server.content, server.tag = 0, CONTENT[::-1], '"two"'

    download(server.url, target, progress=change, wait_s=0)
    assert target.read_bytes() == CONTENT[::-1]
    assert not part.exists()


def test_a_server_without_ranges_still_works(server: Server, tmp_path: Path) -> None:
    server.ranges, server.breaks = False, 1
    download(server.url, tmp_path / "model.pt", wait_s=0)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="expected 00ff"):
        download(server.url, tmp_path / "model.pt", sha256="00ff", wait_s=0)
    assert list(tmp_path.iterdir()) == []


def test_a_recorded_checksum_is_held_against_a_later_download(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    download(server.url, target, wait_s=0)
    target.unlink()
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match="sha256"):
        download(server.url, target, wait_s=0)
    assert not target.exists()


@pytest.mark.parametrize("url", ["{}missing", "file:///etc/hostname", "http://127.0.0.1:1/x"])
def test_addresses_that_give_nothing_are_named(server: Server, tmp_path: Path, url: str) -> None:
    address = url.format(server.url)
    with pytest.raises(DownloadError, match=address.split("?")[0]):
        download(address, tmp_path / "model.pt", attempts=1, wait_s=0)
    assert not (tmp_path / "model.pt").exists()


def test_a_full_disk_is_said_and_the_target_does_not_appear(server: Server, tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from searchkit.errors import DiskFull
        from searchkit.one_peace.download import download
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            download(sys.argv[1], Path(sys.argv[2]))
        except DiskFull as error:
            print("disk full:", error.message)
        """
    )
    target = tmp_path / "model.pt"
    arguments = [sys.executable, "-c", script, server.url, str(target)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("disk full: no space left")
    assert not target.exists()
    download(server.url, target, wait_s=0)
    assert target.read_bytes() == CONTENT


def test_too_little_room_is_said_before_the_first_byte(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=10))
    with pytest.raises(DiskFull, match="room for 10"):
        download(server.url, tmp_path / "model.pt", wait_s=0)


def test_pulling_downloads_and_converts_once(server: Server, tmp_path: Path, checkpoint: Path) -> None:
    server.content = checkpoint.read_bytes()
    server.breaks = 1
    steps: set[str] = set()
    folder = pull_model(
        "one-peace", root=tmp_path, url=server.url, progress=lambda step, done, total: steps.add(step)
    )
    assert folder == tmp_path / "one-peace"
    assert steps == {"download", "convert"}
    assert open_model_folder(folder).config.encoder.embed_dim == 32
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["one-peace.pt.sha256"]
    server.asked.clear()
    assert pull_model("one-peace", root=tmp_path, url=server.url) == folder
    assert server.asked == []
    with pytest.raises(ModelNotFound, match="two-war"):
        pull_model("two-war", root=tmp_path)


def test_pulling_on_the_command_line_goes_on_after_a_kill(
    server: Server, tmp_path: Path, checkpoint: Path
) -> None:
    """Killed while bytes arrive, the command leaves no model; run again, it asks for the rest only."""
    server.content = checkpoint.read_bytes()
    server.stall_after = 100_000
    command = [sys.executable, "-m", "searchkit", "models", "pull", "one-peace"]
    command += ["--to", str(tmp_path), "--url", server.url]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = tmp_path / "downloads" / ".one-peace.pt.part"
    try:
        while not (part.is_file() and part.stat().st_size >= 100_000):
            assert killed.poll() is None
            time.sleep(0.02)
    finally:
        killed.kill()
        killed.wait()
        server.released.set()
    arrived = part.stat().st_size
    assert arrived >= 100_000
    assert not (tmp_path / "one-peace").exists()
    server.stall_after = 0
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "one-peace")
    assert server.asked[-1] == f"bytes={arrived}-"
    assert open_model_folder(tmp_path / "one-peace").config.encoder.embed_dim == 32
    record = (tmp_path / "downloads" / "one-peace.pt.sha256").read_text()
    assert record.split()[0] == hashlib.sha256(server.content).hexdigest()


def test_a_pulled_file_that_is_no_checkpoint_leaves_no_model(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["models", "pull", "one-peace", "--to", str(tmp_path), "--url", server.url]
    assert run(arguments) == 5
    assert "not a checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "one-peace").exists()

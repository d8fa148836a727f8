"""Folders behind URLs: indexed, brought up to date and searched like those of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

import searchkit as sk
from searchkit.errors import LibraryError, UsageError
from tests.media_files import write_picture, write_text

ROOT = "memory://bucket/media"


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.pipe(f"{ROOT}/dog.txt", b"A dog runs through the snow.")
    system.pipe(f"{ROOT}/deep/train.txt", b"A steam train leaves the station.")
    system.pipe(f"{ROOT}/deep/picture.png", write_picture(tmp_path / "p.png", 1).read_bytes())
    system.pipe(f"{ROOT}/broken.jpg", b"\xff\xd8\xff\xe0 not really")
    system.pipe(f"{ROOT}/.hidden/x.txt", b"Hidden.")
    system.pipe(f"{ROOT}/x.tmp", b"Excluded.")
    yield system
    system.rm("/bucket", recursive=True)


def test_a_folder_behind_a_url(tmp_path: Path, bucket: fsspec.AbstractFileSystem) -> None:
    with sk.open_library(tmp_path / "library") as library:
        report = library.index(ROOT, exclude=["*.tmp"])
        assert (report.new, report.failed, report.skipped) == (3, 1, 0)
        report = library.index(ROOT, exclude=["*.tmp"])
        assert (report.same, report.failed, report.segments) == (3, 1, 0)
        assert library.search("a dog in snow", to="text", k=1)[0].path.name == "dog.txt"
        bucket.pipe(f"{ROOT}/dog.txt", b"An orchestra plays.")
        bucket.mv(f"{ROOT}/deep/train.txt", f"{ROOT}/moved.txt")
        bucket.rm(f"{ROOT}/deep/picture.png")
        report = library.index(exclude=["*.tmp"])
        assert (report.changed, report.moved, report.gone, report.new) == (1, 1, 1, 0)
        assert library.verify().clean
        assert [error.path.rsplit("/", 1)[-1] for error in library.errors()] == ["broken.jpg"]
        assert library.remove(ROOT) == 3


class _Page(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback that lists the folder "site"."""
    write_text(tmp_path / "site" / "dog.txt", "A dog runs through the snow.")
    write_text(tmp_path / "site" / "deep down" / "train.txt", "A steam train leaves the station.")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, directory=tmp_path / "site"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_folder_behind_a_web_server(tmp_path: Path, site: str) -> None:
    with sk.open_library(tmp_path / "library") as library:
        assert library.index(site).new == 2
        assert library.index(site).same == 2
        dog = tmp_path / "site" / "dog.txt"
        dog.write_text("An orchestra plays a symphony."[: dog.stat().st_size].ljust(dog.stat().st_size))
        os.utime(dog, (1e9, 1e9))
        report = library.index()
        assert (report.changed, report.same) == (1, 1)
        assert library.search("an orchestra", to="text", k=1)[0].path.name == "dog.txt"


def test_a_url_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with sk.open_library(tmp_path / "library") as library:
        with pytest.raises(UsageError, match="nowhere"):
            library.index("memory://nowhere")
        with pytest.raises(LibraryError, match="no-such-system"):
            library.index("no-such-system://bucket")

"""A library of the sample media and of small files, served in this process and by the real command."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from searchkit.library import Library, open_library
from searchkit.web import create_app
from tests.media_files import write_picture, write_sound, write_text

BASE = "http://127.0.0.1:8765"
# For what must come: it only ends tests that hang, however slow and busy the machine is.
PATIENCE_S = 300
EVIL_TEXT = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
EVIL_NAME = "<img src=x onerror=document.title='pwned'>.txt"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs them all: they share a library that takes a while to index."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("web"))


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Until something is so."""
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s, f"waited in vain: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory, sample_media: Path) -> Path:
    folder = tmp_path_factory.mktemp("served") / "media"
    folder.mkdir()
    for name in ("photos", "sounds", "videos", "texts"):
        shutil.copytree(sample_media / name, folder / name)
    write_text(folder / EVIL_NAME, EVIL_TEXT)
    write_text(folder / "page.html", f"<html><body>A page about lighthouses. {EVIL_TEXT}</body></html>")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    return folder


@pytest.fixture(scope="session")
def library_folder(tmp_path_factory: pytest.TempPathFactory, media_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("served-library") / "library"
    with open_library(folder) as library:
        library.index(media_folder)
    return folder


@pytest.fixture(scope="session")
def library(library_folder: Path) -> Iterator[Library]:
    with open_library(library_folder, create=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def api(library: Library) -> Iterator[TestClient]:
    """The application on a loopback address: no token."""
    with TestClient(create_app(library), base_url=BASE) as client:
        yield client


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Path, Library]]:
    """A folder of four files with its library, to be changed by the test that asks for it."""
    folder = tmp_path / "media"
    write_picture(folder / "a.png", 1)
    write_picture(folder / "b.png", 2)
    write_sound(folder / "c.wav", 3)
    write_text(folder / "d.txt", "A dog runs through the snow.")
    with open_library(tmp_path / "library") as opened:
        opened.index(folder)
        yield folder, opened


@pytest.fixture(scope="session")
def server_url(library_folder: Path) -> Iterator[str]:
    """The real command, on a free port."""
    yield from run_server(library_folder)


def run_server(library: Path, *arguments: str) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "searchkit",
        "serve",
        "--library",
        str(library),
        "--port",
        "0",
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

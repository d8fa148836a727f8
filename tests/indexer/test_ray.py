"""Embedding on a Ray cluster of two nodes, of which one dies; and what is said when something is missing."""

# ruff: noqa: F811 - pytest hands fixtures in by name
from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.errors import DependencyMissing, LibraryError, UsageError
from searchkit.indexer import RayOptions
from tests.indexer.machines import check_notes_are_there_once, qdrant, write_notes  # noqa: F401 - a fixture
from tests.media_files import write_picture
from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures

pytestmark = pytest.mark.xdist_group("postgres")

FILES = 120
NODES = Path(__file__).with_name("ray_nodes.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_picture(tmp_path / "media" / "picture.png", 1)
    return write_notes(tmp_path / "media", FILES)


@pytest.fixture
def ray_place() -> Iterator[str]:
    """Where Ray keeps its logs and sockets, whose paths must be short, and killed workers what they leave."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as place:
        yield place


@pytest.mark.timeout(600)  # nodes start, one dies, a worker takes over: slow where others work, too
def test_a_node_that_dies_half_way_costs_no_file(
    tmp_path: Path, folder: Path, postgres_url: str, qdrant: str, ray_place: str
) -> None:
    command = [sys.executable, NODES, tmp_path / "library", folder, postgres_url, qdrant, 1]
    mark = secrets.token_hex(8)
    try:
        answer = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=540,
            env=os.environ | {"SEARCHKIT_TEST_MARK": mark, "RAY_TMPDIR": ray_place, "TMPDIR": ray_place},
        )
    except subprocess.TimeoutExpired:
        for process in processes_marked(mark):
            os.kill(int(process), signal.SIGKILL)
        raise
    assert answer.returncode == 0, answer.stderr[-4000:]
    report = json.loads(answer.stdout.splitlines()[-1])
    assert 0 < report["killed_after"] < FILES
    # Of what the node that died has recorded, it may have counted nothing: the broken picture, too.
    assert report["failed"] <= 1
    assert report["new"] + report["failed"] + report["uncounted"] == FILES + 2
    with sk.open_library(tmp_path / "library") as library:
        check_notes_are_there_once(library, FILES)
        again = library.index(folder)
        assert (again.same, again.new, again.segments) == (FILES + 1, 0, 0)
    while processes_marked(mark):  # nothing stays behind; the test's time limit ends a wait in vain
        time.sleep(0.1)


def processes_marked(mark: str) -> list[str]:
    """Processes with a mark in their environment, where the system shows that."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [file.parent.name] if mark.encode() in file.read_bytes() else []
        except OSError:
            continue
    return found


def test_a_library_in_files_is_refused_and_the_way_out_is_named(tmp_path: Path, folder: Path) -> None:
    with sk.open_library(tmp_path / "library") as library:
        with pytest.raises(UsageError, match="PostgreSQL") as caught:
            library.index(folder, ray=RayOptions("auto"))
        assert "--catalog postgresql://" in caught.value.hint
        assert "--store qdrant://" in caught.value.hint


def test_vectors_in_files_are_refused_too(tmp_path: Path, folder: Path, postgres_url: str) -> None:
    with (
        sk.open_library(tmp_path / "library", catalog=postgres_url) as library,
        pytest.raises(UsageError, match="keeps its vectors in files"),
    ):
        library.index(folder, ray=RayOptions("auto"))


def test_a_missing_ray_is_named_before_any_file_is_looked_at(
    tmp_path: Path, folder: Path, postgres_url: str, qdrant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with sk.open_library(tmp_path / "library", catalog=postgres_url, store=qdrant) as library:
        with pytest.raises(DependencyMissing) as caught:
            library.index(folder, ray=RayOptions("auto"))
        assert caught.value.hint == "pip install 'searchkit[ray]'"
        assert library.status().last_run is None


def test_a_cluster_that_is_not_there_is_named(
    tmp_path: Path, folder: Path, postgres_url: str, qdrant: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        # bound, so that nobody else listens there
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        with (
            sk.open_library(tmp_path / "library", catalog=postgres_url, store=qdrant) as library,
            pytest.raises(LibraryError, match=address) as caught,
        ):
            library.index(folder, ray=RayOptions(address))
    assert "ray start --head" in caught.value.hint

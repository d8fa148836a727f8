"""Several machines at one library: a catalog on PostgreSQL, vectors on a server, workers that die."""

# ruff: noqa: F811 - pytest hands fixtures in by name
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.errors import LibraryLocked, UsageError
from tests.indexer import working
from tests.indexer.machines import check_notes_are_there_once, qdrant, write_notes  # noqa: F401 - a fixture
from tests.media_files import write_folder
from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures

pytestmark = pytest.mark.xdist_group("postgres")

FILES = 90


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_notes(tmp_path / "media", FILES)


def start(
    library: Path, folder: Path, catalog: str, store: str, lease_s: float, kill_at: int = -1
) -> subprocess.Popen[str]:
    command = [sys.executable, working.__file__, library, folder, catalog, store, lease_s, kill_at]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def test_two_machines_share_the_work(
    tmp_path: Path,
    folder: Path,
    postgres_url: str,
    qdrant: str,
) -> None:
    workers = [start(tmp_path / name, folder, postgres_url, qdrant, 60) for name in ("one", "two")]
    done = [int(worker.communicate()[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sum(done) == FILES
    with sk.open_library(tmp_path / "one") as library:
        check_notes_are_there_once(library, FILES)
        assert library.index(folder).same == FILES


def test_the_work_of_a_machine_that_dies_is_taken_over(
    tmp_path: Path,
    folder: Path,
    postgres_url: str,
    qdrant: str,
) -> None:
    dying = start(tmp_path / "dying", folder, postgres_url, qdrant, 2, kill_at=1)
    dying.communicate()
    assert dying.returncode == -9
    second = start(tmp_path / "second", folder, postgres_url, qdrant, 2)
    second.communicate()
    assert second.returncode == 0
    with sk.open_library(tmp_path / "second") as library:
        check_notes_are_there_once(library, FILES)


def test_a_second_machine_learns_where_the_vectors_are(
    tmp_path: Path,
    folder: Path,
    postgres_url: str,
    qdrant: str,
) -> None:
    with sk.open_library(tmp_path / "one", catalog=postgres_url, store=qdrant) as library:
        library.index(folder)
        assert library.is_shared
    with sk.open_library(tmp_path / "two", catalog=postgres_url) as library:
        assert library.settings.store == qdrant
        check_notes_are_there_once(library, FILES)
    with pytest.raises(UsageError, match="vectors"):
        sk.open_library(tmp_path / "three", catalog=postgres_url, store="faiss")


def test_the_password_of_a_catalog_is_not_written_down(tmp_path: Path, postgres_url: str) -> None:
    url = postgres_url.replace("searchkit@", "searchkit:hush-hush@")
    sk.open_library(tmp_path / "one", catalog=url).close()
    assert "hush-hush" not in (tmp_path / "one" / "library.toml").read_text()
    sk.open_library(tmp_path / "one").close()


def test_vectors_in_files_have_one_writer_even_so(
    tmp_path: Path,
    postgres_url: str,
) -> None:
    from searchkit.indexer.writer import Writer

    folder = write_folder(tmp_path / "media")
    with sk.open_library(tmp_path / "library", catalog=postgres_url) as library:
        assert not library.is_shared
        with Writer(library), pytest.raises(LibraryLocked):
            library.index(folder)
        assert library.index(folder).new == 8
        (folder / "picture0.png").unlink()
        (folder / "picture1.png").rename(folder / "moved.png")
        report = library.index(folder)
        assert (report.gone, report.moved, report.same) == (1, 1, 6)
        assert library.verify().clean
        found = library.search("snow", to="text", where="path:**/*.txt AND size_bytes>1")
        assert [result.path.name for result in found] == ["dog.txt"]

"""Watching folders: what changes is found, what goes is not, in files and in rules."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.errors import UsageError
from searchkit.indexer import IndexReport, watch
from searchkit.indexer.watch import changed_scopes
from tests.media_files import write_text

WAIT_S = 200  # below the time limit of a test, to say what was found


class Watching:
    """A library that is kept current by a thread."""

    def __init__(self, library: sk.Library, folder: Path) -> None:
        self.library = library
        self.reports: list[IndexReport] = []
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(folder,))
        self._thread.start()

    def _watch(self, folder: Path) -> None:
        try:
            watch(self.library, [folder], on_report=self.reports.append, stop=self._stop, quiet_s=0.05)
        except BaseException as error:
            self.failures.append(error)

    def until_found(self, *names: str) -> None:
        """Wait until a search finds just these files."""
        ends = time.monotonic() + WAIT_S
        found: set[str] = set()
        while time.monotonic() < ends and not self.failures:
            if self.reports:
                found = {result.path.name for result in self.library.search("a ship", k=50)}
            if found == set(names):
                return
            time.sleep(0.1)
        pytest.fail(f"found {found}, not {set(names)}; {self.failures}")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    write_text(tmp_path / "media" / "first.txt", "A ship.")
    with sk.open_library(tmp_path / "library") as library:
        opened = Watching(library, tmp_path / "media")
        yield opened
        opened.close()
        assert opened.failures == []


def test_the_library_follows_what_changes(tmp_path: Path, watching: Watching) -> None:
    folder = tmp_path / "media"
    watching.until_found("first.txt")
    write_text(folder / "deep" / "er" / "second.txt", "A ship again.")
    watching.until_found("first.txt", "second.txt")
    # A run that still looks at the new folder would see half of the move: once this is found, none does.
    write_text(folder / "third.txt", "A ship once more.")
    watching.until_found("first.txt", "second.txt", "third.txt")
    (folder / "first.txt").rename(folder / "deep" / "renamed.txt")
    watching.until_found("renamed.txt", "second.txt", "third.txt")
    (folder / "deep" / "er" / "second.txt").unlink()
    (folder / "third.txt").unlink()
    watching.until_found("renamed.txt")
    write_text(folder / ".hidden.txt", "A ship that hides.")
    write_text(folder / "note.tmp.txt", "A ship for now.")
    watching.until_found("renamed.txt", "note.tmp.txt")
    (folder / ".searchkitignore").write_text("*.tmp.txt\n")
    watching.until_found("renamed.txt")
    watching.close()
    # Only now: a run's report comes after its files are found.
    assert sum(report.moved for report in watching.reports) == 1
    assert watching.library.verify().clean


def test_what_is_looked_at_again() -> None:
    folders = ["/photos", "/music"]

    def scopes(*paths: str) -> set[tuple[str, str]]:
        return {(scope.path, scope.root) for scope in changed_scopes(paths, folders, "/photos/.library")}

    assert scopes("/photos/a.jpg", "/music/b/c.wav") == {
        ("/photos/a.jpg", "/photos"),
        ("/music/b/c.wav", "/music"),
    }
    assert scopes("/photos/.library/catalog.sqlite-wal") == set()
    assert scopes("/photos/b/.searchkitignore", "/photos/b/1.jpg") == {("/photos/b", "/photos")}
    assert scopes("/elsewhere/a.jpg") == set()
    assert scopes(*(f"/photos/new/{n}.jpg" for n in range(5000))) == {("/photos/new", "/photos")}
    assert scopes(*(f"/photos/{n}/a.jpg" for n in range(5000))) == {
        ("/photos", "/photos"),
        ("/music", "/music"),
    }


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with sk.open_library(tmp_path / "library") as library, pytest.raises(UsageError, match="nowhere"):
        watch(library, [tmp_path / "nowhere"], on_report=print, stop=threading.Event())

"""Watching folders: what changes is found, what goes is not, in files and in rules."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.errors import SearchkitError, UsageError
from searchkit.indexer import IndexReport, watch
from searchkit.indexer.planner import Scope
from searchkit.indexer.watch import changed_scopes
from tests.media_files import write_text

WAIT_S = 200  # below the time limit of a test, to say what was found


class Watching:
    """A library that is kept current by a thread."""

    def __init__(self, library: sk.Library, *folders: Path, rescan_s: float = 3600) -> None:
        self.library = library
        self.reports: list[IndexReport] = []
        self.troubles: list[SearchkitError] = []
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(folders, rescan_s))
        self._thread.start()

    def _watch(self, folders: Sequence[Path], rescan_s: float) -> None:
        try:
            watch(
                self.library,
                folders,
                on_report=self.reports.append,
                on_trouble=self.troubles.append,
                stop=self._stop,
                quiet_s=0.05,
                rescan_s=rescan_s,
            )
        except BaseException as error:
            self.failures.append(error)

    def until_found(self, *names: str) -> None:
        """Wait until a search finds just these files."""
        self.until(lambda: bool(self.reports) and self._found() == set(names))

    def until(self, seen: Callable[[], bool]) -> None:
        ends = time.monotonic() + WAIT_S
        while not seen():
            if self.failures or time.monotonic() > ends:
                pytest.fail(f"finds {self._found()}; {self.failures} {self.troubles} {self.reports}")
            time.sleep(0.1)

    def _found(self) -> set[str]:
        return {result.path.name for result in self.library.search("a ship", k=50)}

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def kept_current(place: Path, *folders: Path, rescan_s: float = 3600) -> Iterator[Watching]:
    with sk.open_library(place / "library") as library:
        watching = Watching(library, *folders, rescan_s=rescan_s)
        try:
            yield watching
        finally:
            watching.close()
        assert watching.failures == []
        assert library.verify().clean


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    write_text(tmp_path / "media" / "first.txt", "A ship.")
    with kept_current(tmp_path, tmp_path / "media") as watching:
        yield watching


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


def test_a_name_that_is_no_text_does_not_end_it(tmp_path: Path, watching: Watching) -> None:
    folder = tmp_path / "media"
    watching.until_found("first.txt")
    odd = os.fsdecode(b"sh\xffip.txt")
    write_text(folder / odd, "A ship with an odd name.")
    watching.until_found("first.txt", odd)
    write_text(folder / "third.txt", "A ship once more.")
    watching.until_found("first.txt", odd, "third.txt")


def test_what_is_not_reported_is_found_when_all_is_looked_at_again(tmp_path: Path) -> None:
    write_text(tmp_path / "media" / "first.txt", "A ship.")
    (tmp_path / "media" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    aside = tmp_path / "aside.txt"
    os.link(tmp_path / "media" / "first.txt", aside)
    with kept_current(tmp_path, tmp_path / "media", rescan_s=0.5) as watching:
        watching.until_found("first.txt")
        aside.write_text("A ship, written where nobody listens.")
        watching.until(lambda: sum(report.changed for report in watching.reports) == 1)
    assert sum(len(report.errors) for report in watching.reports if not report.changed) == 1  # told once


def test_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    here, disk = tmp_path / "here", tmp_path / "disk"
    write_text(here / "first.txt", "A ship.")
    write_text(disk / "second.txt", "A ship on a disk.")
    with kept_current(tmp_path, here, disk) as watching:
        watching.until_found("first.txt", "second.txt")
        disk.rename(tmp_path / "pulled")
        disk.mkdir()
        watching.until(lambda: bool(watching.troubles))
        assert str(disk) in str(watching.troubles[0])
        write_text(here / "third.txt", "A ship once more.")
        watching.until_found("first.txt", "second.txt", "third.txt")
        disk.rmdir()
        write_text(tmp_path / "pulled" / "fourth.txt", "A ship that came with the disk.")
        (tmp_path / "pulled").rename(disk)
        watching.until_found("first.txt", "second.txt", "third.txt", "fourth.txt")
    assert len(watching.troubles) == 1


def test_rules_of_the_whole_folder_hold_where_only_a_part_is_watched(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    write_text(folder / "deep" / "first.txt", "A ship.")
    (folder / ".searchkitignore").write_text("*.tmp.txt\n")
    with sk.open_library(tmp_path / "library") as library:
        library.index(folder)
    with kept_current(tmp_path, folder / "deep") as watching:
        watching.until_found("first.txt")
        write_text(folder / "deep" / "note.tmp.txt", "A ship for now.")
        write_text(folder / "deep" / "second.txt", "A ship again.")
        watching.until_found("first.txt", "second.txt")
        assert watching.library.status().roots == [str(folder)]


def test_what_is_looked_at_again() -> None:
    watched = [Scope("/photos", "/photos"), Scope("/music", "/music")]

    def scopes(*paths: str) -> set[tuple[str, str]]:
        return {(scope.path, scope.root) for scope in changed_scopes(paths, watched, "/photos/.library")}

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

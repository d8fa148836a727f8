"""Disks that are full, and libraries that may not be written: nothing is lost, and what to do is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import searchkit as sk
from searchkit.errors import DiskFull, LibraryError, SearchkitError
from searchkit.types import FloatArray, Sample, Space
from tests.libraries.words_encoder import DIM, WordsEncoder
from tests.media_files import write_folder, write_text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs: run the tests as root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    """A file that takes what is free but so much."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, free - leave_bytes)))
    return filler


class WideEncoder(WordsEncoder):
    """Vectors as long as a model's, without one: there at once, and the same in any batch."""

    space = Space("wide", "1", "none", 16 * DIM)

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        return np.tile(super().encode(samples), 16) / np.float32(4)


def opened(folder: Path) -> sk.Library:
    library = sk.open_library(folder)
    library._encoder = WideEncoder()
    return library


def answers(library: sk.Library) -> list[tuple[str, float]]:
    results = library.search("a train leaves the station", k=50, spans=True)
    return sorted((result.path.name, round(result.score, 4)) for result in results)


def test_a_disk_that_fills_up_at_any_moment_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    folder = write_folder(tmp_path / "media")
    for number in range(40):
        write_text(folder / f"{number}.txt", f"Note {number}: a train leaves the station. " * 20)
    with opened(tmp_path / "undisturbed") as library:
        library.index(folder)
        expected = answers(library)
    refused = 0
    place = small_disk / "library"
    for leave_kb in (0, 8, 100, 200, 300, 320, 350, 400, 450, 500, 550, 600, 700, 800, 1000, 1500):
        filler = fill(small_disk, leave_kb << 10)
        try:
            with opened(place) as library:
                library.index(folder)
        except DiskFull:
            refused += 1
        filler.unlink()
        if place.exists() and (place / "catalog.sqlite").exists():
            with opened(place) as library:
                assert library.verify(repair=True).embed_again == 0
                library.index(folder)
                assert library.verify().clean
                assert answers(library) == expected
        shutil.rmtree(place, ignore_errors=True)
    assert refused >= 5


def test_an_update_on_a_full_disk_keeps_the_old_answers(tmp_path: Path, small_disk: Path) -> None:
    folder = write_folder(tmp_path / "media")
    place = small_disk / "library"
    with sk.open_library(place) as library:
        library.index(folder)
        before = answers(library)
    for number in range(40):
        write_text(folder / f"{number}.txt", f"Note {number}: a train leaves the station. " * 20)
    filler = fill(small_disk, 0)
    with pytest.raises(DiskFull), sk.open_library(place) as library:
        library.index(folder)
    with sk.open_library(place, read_only=True) as library:
        assert answers(library) == before
    filler.unlink()
    with sk.open_library(place) as library:
        assert library.index(folder).new == 40
        assert library.verify().clean


SCRIPT = """
import ctypes, os, sys
if os.geteuid() == 0 and len(sys.argv) == 3:
    # root without the right to pass over the modes of files (PR_CAPBSET_DROP: what the next program may have)
    for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        assert ctypes.CDLL(None, use_errno=True).prctl(24, right, 0, 0, 0) == 0
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "dropped"])
import searchkit as sk
from searchkit.errors import SearchkitError
try:
    with sk.open_library(sys.argv[1]) as library:
        library.index(sys.argv[2])
except SearchkitError as error:
    print(type(error).__name__, error.message)
    sys.exit(3)
"""


@pytest.mark.parametrize("pulled", ["folder", "catalog", "vectors"])
def test_a_library_that_may_not_be_written_says_so(tmp_path: Path, pulled: str) -> None:
    folder, place = write_folder(tmp_path / "media"), tmp_path / "library"
    with sk.open_library(place) as library:
        library.index(folder)
        before = answers(library)
    write_text(folder / "later.txt", "Later.")
    everything = [place, *place.rglob("*")]
    doomed = {
        "folder": [place, *(path for path in everything if path.is_file())],
        "catalog": [path for path in everything if path.name.startswith("catalog")],
        "vectors": [path for path in everything if "vectors" in path.parts],
    }[pulled]
    for path in doomed:
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [sys.executable, "-c", SCRIPT, str(place), str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    for path in everything:
        path.chmod(0o777 if path.is_dir() else 0o666)
    assert answer.returncode == 3, answer.stderr
    assert str(place) in answer.stdout
    with sk.open_library(place) as library:
        assert answers(library) == before
        assert library.index(folder).new == 1
        assert library.verify().clean


def test_a_library_on_a_disk_that_became_read_only_can_be_searched(tmp_path: Path, small_disk: Path) -> None:
    folder, place = write_folder(tmp_path / "media"), small_disk / "library"
    with sk.open_library(place) as library:
        library.index(folder)
        before = answers(library)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    write_text(folder / "later.txt", "Later.")
    with pytest.raises(SearchkitError) as caught, sk.open_library(place) as library:
        library.index(folder)
    assert isinstance(caught.value, LibraryError)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with sk.open_library(place) as library:
        assert answers(library) == before

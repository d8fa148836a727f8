"""A file that the model fails on, or dies of, costs that file; every other is found."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.encoders import spec
from searchkit.errors import EncoderError
from tests.indexer import failing
from tests.media_files import write_text


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> failing.FailingEncoder:
    monkeypatch.setattr(spec, "ENCODERS", spec.ENCODERS)
    return failing.install()


def fill(folder: Path, count: int, *bad: str) -> Path:
    for number in range(count):
        write_text(folder / f"{number:03d}.txt", f"Note {number}.")
    for word in bad:
        write_text(folder / f"010-{word}.txt", f"This one {word}.")
    return folder


def run(library: Path, folder: Path, *flags: str) -> tuple[int, list[int]]:
    """An index run in a process of its own: exit code, and files new, same, failed."""
    command = [sys.executable, failing.__file__, str(library), str(folder), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, [int(word) for word in done.stdout.split()]


def test_a_model_that_fails_on_a_file_costs_that_file(
    tmp_path: Path, encoder: failing.FailingEncoder
) -> None:
    folder = fill(tmp_path / "media", 40, "raises", "memory", "nan")
    with sk.open_library(tmp_path / "library", model="failing") as library:
        report = library.index(folder)
        assert (report.new, report.failed) == (40, 3)
        reasons = {Path(error.path).stem: error.reason for error in library.errors()}
        assert "a bad kernel" in reasons["010-raises"]
        assert "memory" in reasons["010-memory"]
        assert "not finite" in reasons["010-nan"]
        assert len(library.search("Note 7.", k=100)) == 40
        assert library.verify().clean
        again = library.index(folder)
        assert (again.same, again.failed, again.segments) == (40, 3, 0)


def test_a_model_that_fails_on_everything_ends_the_run(
    tmp_path: Path, encoder: failing.FailingEncoder
) -> None:
    folder = fill(tmp_path / "media", 300)
    with sk.open_library(tmp_path / "library", model="failing") as library:
        encoder.broken = True
        with pytest.raises(EncoderError, match="everything"):
            library.index(folder)
        encoder.broken = False
        library.index(folder, retry_failed=True)
        assert len(library.search("Note 7.", k=400)) == 300
        assert library.errors() == []


def test_a_file_that_kills_the_process_is_told_from_its_neighbours(
    tmp_path: Path, encoder: failing.FailingEncoder
) -> None:
    folder, place = fill(tmp_path / "media", 40, "aborts"), tmp_path / "library"
    assert run(place, folder) == (-signal.SIGABRT, [])
    with sk.open_library(place, model="failing") as library:
        library.verify(repair=True)
    # The second run leaves what the first one had in hand to the end, and takes it one by one.
    assert run(place, folder) == (-signal.SIGABRT, [])
    code, (_, _, failed) = run(place, folder)
    assert (code, failed) == (0, 1)
    with sk.open_library(place, model="failing") as library:
        (error,) = library.errors()
        assert error.path.endswith("010-aborts.txt")
        assert "died twice" in error.reason
        assert len(library.search("Note 7.", k=100)) == 40
        assert library.verify().clean
    assert run(place, folder) == (0, [0, 40, 1])
    assert run(place, folder, "--retry-failed") == (-signal.SIGABRT, [])
    write_text(folder / "010-aborts.txt", "Harmless now, and longer.")
    assert run(place, folder) == (0, [1, 40, 0])


def test_of_files_that_killed_a_run_those_that_went_are_forgotten(
    tmp_path: Path, encoder: failing.FailingEncoder
) -> None:
    folder, place = fill(tmp_path / "media", 5, "aborts"), tmp_path / "library"
    other = fill(tmp_path / "other", 3)
    assert run(place, folder)[0] == -signal.SIGABRT
    assert run(place, other) == (0, [3, 0, 0])
    (folder / "010-aborts.txt").unlink()
    assert run(place, folder) == (0, [5, 0, 0])
    assert run(place, folder) == (0, [0, 5, 0])

"""SIGKILL before every durable step of a run: nothing recorded is lost, nothing is found twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import searchkit as sk
from tests.indexer import killing
from tests.indexer.killing import open_with_words
from tests.media_files import write_picture, write_sound, write_text


def fill(folder: Path) -> None:
    write_picture(folder / "picture.png", 1)
    write_sound(folder / "sound.wav", 1)
    write_text(folder / "text.txt", "A ship sails out of the harbour.")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")


def change(folder: Path) -> None:
    """One file each that changes, moves, goes and comes."""
    write_picture(folder / "picture.png", 2)
    (folder / "moved").mkdir()
    (folder / "sound.wav").rename(folder / "moved" / "sound.wav")
    (folder / "text.txt").unlink()
    write_text(folder / "new.txt", "A lighthouse in the fog.")


def answers(library: sk.Library) -> list[tuple[str, float]]:
    results = library.search("a ship in a harbour", k=50)
    return sorted((result.path.name, round(result.score, 4)) for result in results)


@pytest.mark.parametrize("update", [False, True], ids=["first run", "update"])
def test_a_run_killed_anywhere_can_be_finished(tmp_path: Path, repository: Path, update: bool) -> None:
    folder, place, prepared = tmp_path / "media", tmp_path / "killed", tmp_path / "prepared"
    place.mkdir()
    fill(folder)
    command = [sys.executable, "-m", killing.__name__, str(place), str(folder)]
    if update:
        with open_with_words(prepared) as library:
            library.index(folder)
        change(folder)
        command.append(str(prepared))
    killed = int(subprocess.check_output(command, cwd=repository))
    assert killed > 10
    with open_with_words(place / str(killed)) as undisturbed:
        expected = answers(undisturbed)
    for step in range(killed):
        with open_with_words(place / str(step)) as library:
            repaired = library.verify(repair=True)
            assert (repaired.clean, repaired.embed_again) == (True, 0), f"killed at step {step}"
            library.index(folder)
            assert library.verify().clean, f"killed at step {step}"
            assert answers(library) == expected, f"killed at step {step}"
            assert len(library.errors()) == 1

"""SIGKILL before every durable step of a run: nothing recorded is lost, nothing is found twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import searchkit as sk
from tests.indexer import killing
from tests.media_files import write_picture, write_sound, write_text


def run(library: Path, folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, killing.__file__, str(library), str(folder), str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fill(folder: Path) -> None:
    write_picture(folder / "picture.png", 1)
    write_sound(folder / "sound.wav", 1)
    write_text(folder / "text.txt", "A ship sails out of the harbour.")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")


def change(folder: Path) -> None:
    """One file each that changes, moves, goes and comes."""
    write_picture(folder / "picture.png", 2)
    (folder / "moved").mkdir(exist_ok=True)
    (folder / "sound.wav").rename(folder / "moved" / "sound.wav")
    (folder / "text.txt").unlink()
    write_text(folder / "new.txt", "A lighthouse in the fog.")


def answers(library: sk.Library) -> list[tuple[str, float]]:
    results = library.search("a ship in a harbour", k=50)
    return sorted((result.path.name, round(result.score, 4)) for result in results)


def check_every_kill(tmp_path: Path, prepare: list[str]) -> None:
    """Compare a library whose last run was killed at each step, then run again, with an undisturbed one."""
    folder = tmp_path / "media"
    fill(folder)
    undisturbed = tmp_path / "undisturbed"
    if prepare:
        assert run(undisturbed, folder, -1).returncode == 0
        for name in prepare:
            copy(undisturbed, tmp_path / name)
        change(folder)
    whole = run(undisturbed, folder, -1)
    steps = int(whole.stdout)
    assert steps > 5
    with sk.open_library(undisturbed) as library:
        expected = answers(library)
    for kill_at in range(steps):
        place = tmp_path / f"killed{kill_at}"
        if prepare:
            copy(tmp_path / prepare[0], place)
        assert run(place, folder, kill_at).returncode == -9
        with sk.open_library(place) as library:
            repaired = library.verify(repair=True)
            assert repaired.clean, f"killed at step {kill_at}"
            assert repaired.embed_again == 0, f"killed at step {kill_at}"
            library.index(folder)
            assert library.verify().clean, f"killed at step {kill_at}"
            assert answers(library) == expected, f"killed at step {kill_at}"
            assert len(library.errors()) == 1


def copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target)


def test_a_first_run_killed_anywhere_can_be_finished(tmp_path: Path) -> None:
    check_every_kill(tmp_path, [])


def test_an_update_killed_anywhere_can_be_finished(tmp_path: Path) -> None:
    check_every_kill(tmp_path, ["before"])

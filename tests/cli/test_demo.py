"""What a newcomer sees first: in the demo, sounds bring pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import searchkit as sk

THINGS = ("dog", "train", "bell", "rain")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The library that the demo leaves."""
    library = tmp_path_factory.mktemp("demo") / "library"
    command = [sys.executable, "-m", "searchkit", "demo", "sample_media", "--library", str(library)]
    subprocess.run(command, cwd=repository, capture_output=True, check=True)
    return library


@pytest.mark.parametrize("thing", THINGS)
def test_a_sound_brings_a_picture_of_what_makes_it(thing: str, demo: Path, sample_media: Path) -> None:
    sounds = sorted(sample_media.glob(f"sounds/{thing}*"))
    assert sounds
    with sk.open_library(demo) as library:
        for sound in sounds:
            found = [result.path.name for result in library.search(sk.audio(sound), to="image", k=3)]
            assert any(thing in name for name in found), (sound.name, found)

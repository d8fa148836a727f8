"""What a newcomer sees first: the demo prints what the README shows, and sounds bring pictures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import searchkit as sk

THINGS = ("dog", "train", "bell", "rain")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> tuple[str, Path]:
    """What the demo prints, and the library that it leaves."""
    library = tmp_path_factory.mktemp("demo") / "library"
    command = [sys.executable, "-m", "searchkit", "demo", "sample_media", "--library", str(library)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    return done.stdout, library


def test_the_readme_opens_with_what_the_demo_prints(demo: tuple[str, Path], repository: Path) -> None:
    printed, _ = demo
    readme = (repository / "README.md").read_text(encoding="utf-8")
    shown = readme.split("$ searchkit demo sample_media\n", 1)[1].split("```", 1)[0]
    time_and_place = re.compile(r" \(\d+\.\d s\) in \S+$", re.MULTILINE)
    assert time_and_place.sub("", shown) == time_and_place.sub("", printed), (
        "paste what `make demo` prints into README.md"
    )


@pytest.mark.parametrize("thing", THINGS)
def test_a_sound_brings_a_picture_of_what_makes_it(
    thing: str, demo: tuple[str, Path], sample_media: Path
) -> None:
    _, folder = demo
    sounds = sorted(sample_media.glob(f"sounds/{thing}*"))
    assert sounds
    with sk.open_library(folder) as library:
        for sound in sounds:
            found = [result.path.name for result in library.search(sk.audio(sound), to="image", k=3)]
            assert any(thing in name for name in found), (sound.name, found)

from pathlib import Path

import numpy as np
import pytest

from searchkit.encoders.mini import MiniEncoder, load
from searchkit.media import open_media
from searchkit.types import FloatArray, TextSample

THINGS = {"dog": "dog", "train": "train", "bell": "bell", "rain": "rain"}


def embed(encoder: MiniEncoder, path: Path) -> FloatArray:
    return np.asarray(encoder.encode(list(open_media(path).samples)).mean(axis=0), dtype=np.float32)


@pytest.fixture(scope="module")
def encoder() -> MiniEncoder:
    return load(threads=1)


@pytest.fixture(scope="module")
def pictures(sample_media: Path, encoder: MiniEncoder) -> dict[str, FloatArray]:
    paths = sorted([*sample_media.glob("photos/*"), *sample_media.glob("drawings/*")])
    return {path.name: embed(encoder, path) for path in paths}


def first_three(query: FloatArray, pictures: dict[str, FloatArray]) -> list[str]:
    return sorted(pictures, key=lambda name: -float(query @ pictures[name]))[:3]


@pytest.mark.parametrize("thing", sorted(THINGS))
def test_a_sound_brings_a_picture_of_what_makes_it(
    thing: str, sample_media: Path, encoder: MiniEncoder, pictures: dict[str, FloatArray]
) -> None:
    sounds = sorted(sample_media.glob(f"sounds/{thing}*"))
    assert sounds
    for sound in sounds:
        found = first_three(embed(encoder, sound), pictures)
        assert any(THINGS[thing] in name for name in found), (sound.name, found)


@pytest.mark.parametrize("word", ["dog", "cat", "train", "rain", "a bird", "car", "horse", "clock"])
def test_a_word_brings_a_picture_of_it(
    word: str, encoder: MiniEncoder, pictures: dict[str, FloatArray]
) -> None:
    found = first_three(encoder.encode([TextSample(word)])[0], pictures)
    assert any(word.split()[-1] in name for name in found), found

"""A text beside a picture or a sound helps to find it with words, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import searchkit as sk
from tests.media_files import write_picture, write_sound, write_text

CAPTIONS = {
    "one.txt": "A lighthouse in the fog, seen from a boat.",
    "two.png.txt": "Grandmother bakes bread in the kitchen.",
    "three.caption": "A steam train leaves the station.",
    "tone.txt": "An owl calls at night.",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sk.Library]:
    place = tmp_path_factory.mktemp("captions")
    folder = place / "media"
    for number, name in enumerate(["one", "two", "three", "four", "five"]):
        write_picture(folder / f"{name}.png", number)
    write_sound(folder / "tone.wav", 1)
    for name, words in CAPTIONS.items():
        write_text(folder / name, words)
    with sk.open_library(place / "library", decoder="threads") as opened:
        assert opened.index(folder).new == 10
        yield opened


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("a lighthouse in the fog", "one.png"),
        ("grandmother baking bread", "two.png"),
        ("a steam train", "three.png"),
        ("an owl", "tone.wav"),
    ],
)
def test_words_find_a_file_by_the_text_beside_it(library: sk.Library, words: str, found: str) -> None:
    results = library.search(words, to=("image", "audio"), k=3)
    assert results[0].path.name == found
    assert results[0].text in CAPTIONS.values()
    assert results[0].match is not None
    assert results[0].match > 0.5
    names = [result.path.name for result in library.search(words, k=10)]
    assert names.index(found) <= 1
    assert len(names) == len(set(names))


def test_the_filter_is_for_the_file_and_not_for_its_caption(library: sk.Library) -> None:
    results = library.search("a lighthouse in the fog", where="type:png", k=2)
    assert results[0].path.name == "one.png"
    assert library.search("a lighthouse in the fog", where="name:four.png")[0].text is None
    assert library.search("a lighthouse", to="text", k=1)[0].path.name == "one.txt"


def test_spans_and_diversity_and_ranks_take_captions_too(library: sk.Library) -> None:
    words = "a lighthouse in the fog"
    for options in ({"spans": True}, {"diverse": True}, {"fusion": "rrf"}, {"hybrid": True}):
        assert library.search(words, to="image", k=2, **options)[0].path.name == "one.png"
    explained = library.explain(words, library.search(words, to="image", k=1)[0].path, to="image")
    assert explained.rank == 1
    assert explained.caption == CAPTIONS["one.txt"]
    assert library.explain(words, library.search(words, to="text", k=1)[0].path).caption is None


def test_a_picture_is_not_found_by_the_captions_of_others(library: sk.Library, tmp_path: Path) -> None:
    asked = write_picture(tmp_path / "asked.png", 0)
    results = library.search(sk.image(asked), to="image", k=5)
    assert results[0].path.name == "one.png"
    assert all(result.text is None for result in results)

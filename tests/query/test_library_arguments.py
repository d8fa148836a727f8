"""What a library makes of arguments of other kinds than it asks for, and of being asked once it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchkit as sk
from searchkit.errors import InvalidFilter, LibraryError, QueryError
from tests.media_files import write_text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arguments") / "media"
    write_text(folder / "one.txt", "A lighthouse in the fog.")
    write_text(folder / "two.txt", "Bread from the oven.")
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[sk.Library]:
    with sk.open_library(folder.parent / "library", decoder="threads") as opened:
        assert opened.index(folder).new == 2
        yield opened


@pytest.mark.parametrize(
    ("query", "arguments", "error"),
    [
        (Path("photo.jpg"), {}, QueryError),
        (None, {}, QueryError),
        (["fog"], {}, QueryError),
        ("fog", {"k": 1.5}, QueryError),
        ("fog", {"where": 3}, InvalidFilter),
    ],
)
def test_what_is_no_query_is_an_error_of_searchkit(
    library: sk.Library, query: Any, arguments: dict[str, Any], error: type[sk.SearchkitError]
) -> None:
    with pytest.raises(error) as raised:
        library.search(query, **arguments)
    assert raised.value.hint


def test_one_string_is_one_and_not_its_letters(library: sk.Library, folder: Path) -> None:
    assert library.tag(folder / "one.txt", add="night") == 1
    assert library.tags() == {"night": 1}
    library.tag(folder, remove="night")
    assert library.tags() == {}
    prompted = library.search("fog", prompts="a photo of {}", k=1)
    assert prompted[0].score == library.search("fog", prompts=["a photo of {}"], k=1)[0].score
    # Letter by letter this is "*", which would leave nothing.
    assert library.index(folder, exclude="*.none").same == 2


def test_what_no_database_holds_is_refused_by_name(library: sk.Library, folder: Path) -> None:
    for keep in (
        lambda: library.tag(folder, add="\udcff"),
        lambda: library.search("fog", where="tag:\udcff"),
        lambda: library.save_query("odd", "fog", where="name:\udcff*"),
    ):
        with pytest.raises(sk.SearchkitError, match="udcff"):
            keep()
    assert library.search("fog", where="NOT name:\udcff*", k=1)[0].path.name == "one.txt"


def test_words_are_embedded_as_they_are(library: sk.Library) -> None:
    rows = library.embed(["a lighthouse", sk.TextSample("bread")])
    np.testing.assert_array_equal(rows[:1], library.embed("a lighthouse"))


def test_a_closed_library_says_that_it_is_closed(library: sk.Library, folder: Path) -> None:
    with sk.open_library(library.folder) as other:
        assert other.search("bread", k=1)[0].path.name == "two.txt"
    for ask in (lambda: other.search("bread"), lambda: other.embed("bread"), lambda: other.index(folder)):
        with pytest.raises(LibraryError, match="closed"):
            ask()
    assert library.search("bread", k=1)[0].path.name == "two.txt"

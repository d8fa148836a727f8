"""Whole libraries that older versions wrote, catalog and vectors: opened, upgraded, searched, written on."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.migrations import HEAD, REVISIONS
from tests.libraries.words_encoder import WordsEncoder
from tests.media_files import write_text

HERE = Path(__file__).parent


def unpack(revision: str, place: Path) -> Path:
    with tarfile.open(HERE / f"{revision}.tar.xz") as archive:
        archive.extractall(place, filter="data")
    return place / revision


def open_old(folder: Path) -> sk.Library:
    library = sk.open_library(folder, create=False, decoder="threads")
    library._encoder = WordsEncoder()
    return library


def test_a_library_of_every_revision_is_kept() -> None:
    assert sorted(path.name for path in HERE.glob("*.tar.xz")) == [f"{each}.tar.xz" for each in REVISIONS]


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_old_library_is_upgraded_searched_and_written_on(tmp_path: Path, revision: str) -> None:
    folder = unpack(revision, tmp_path)
    expected = json.loads((folder / "expected.json").read_text())
    assert expected["revision"] == revision
    with open_old(folder) as library:
        assert (library.catalog.backup is None) == (revision == HEAD)
        for query, found in expected["searches"].items():
            results = library.search(query, k=50)
            then = {(path, segment_id): score for path, segment_id, score in found}
            assert {str(result.path) for result in results} == {path for path, _ in then}
            for result in results:
                assert result.score == pytest.approx(then[str(result.path), result.segment_id], abs=2e-5)
            assert results[0].segment_id == found[0][1]
        assert library.search("train.md", k=1)[0].found_by == ("name",)
        assert library.tags() == {"read": 4}
        assert {result.path.name for result in library.search("snow", where="tag:read")} == {
            "caf\udce9.txt",
            "dog.txt",
            "ship.txt",
            "train.md",
        }
        assert [Path(error.path).name for error in library.errors()] == ["broken.jpg"]
        assert library.verify().clean
        write_text(tmp_path / "more" / "bell.txt", "A bell tolls over the roofs of the town.")
        write_text(tmp_path / "more" / "snow.txt", "Snow falls on the dog and on the sea.")
        assert library.index(tmp_path / "more").new == 2
        assert library.search("a bell tolls", k=1)[0].path.name == "bell.txt"
        (word, *_) = library.search("lighthouse", hybrid=True)
        assert (word.path.name, "words" in word.found_by) == ("new.txt", True)
        library.remove("/media/old/texts/train.md")
    with open_old(folder) as library:
        assert library.catalog.backup is None
        names = {result.path.name for result in library.search("steam train", k=50)}
        assert "train.md" not in names
        assert {"bell.txt", "ship.txt", "long.flac"} <= names
        assert library.verify().clean


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_old_library_is_copied(tmp_path: Path, revision: str) -> None:
    with open_old(unpack(revision, tmp_path)) as library:
        done = library.copy(tmp_path / "copy")
        expected = library.search("a dog in the snow", k=50).to_dict()
    assert (done.segments, len(expected["results"])) == (11, 8)
    with open_old(tmp_path / "copy") as copy:
        assert copy.search("a dog in the snow", k=50).to_dict() == expected


def test_the_saved_query_of_an_old_library_is_recalled(tmp_path: Path) -> None:
    with open_old(unpack("0003", tmp_path)) as library:
        assert library.search("@rails")[0].path.name == "train.md"

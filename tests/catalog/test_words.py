"""Searchable words: how names split, what finds what, and that nothing stays behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, true, update

from searchkit.catalog import CATALOG_FILE, Catalog, assets, segments, spaces, words
from searchkit.catalog.segments import NewSegment
from searchkit.catalog.tables import Asset, AssetWords
from searchkit.catalog.word_search import assets_named, beside_texts, find_names, find_passages
from searchkit.catalog.words import split_words
from searchkit.types import Modality, Space

SPACE = Space("mini", "1", "p", 4)
ALL = tuple(Modality)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(Catalog.open(tmp_path)) as catalog, catalog.write() as opened:
        yield opened


def add(connection: Connection, path: str, text: str | None = None, title: str | None = None) -> int:
    """A READY file, with one segment, below the root /media."""
    modality = Modality.TEXT if text is not None else Modality.IMAGE
    space_id = spaces.ensure_space(connection, SPACE)
    (asset_id,) = assets.insert_assets(
        connection,
        [
            {
                "root_id": assets.ensure_root(connection, "/media"),
                "path": path,
                "modality": modality.value,
                "size_bytes": 1,
                "mtime_ns": 1,
                "date": "2020-01-01T00:00:00",
                "facts": {"title": title} if title else {},
            }
        ],
    )
    collection = spaces.ensure_collection(connection, space_id, SPACE, modality, modality)
    segments.insert_pending(connection, [NewSegment(asset_id, collection.id, 0, None, None, text)])
    segments.mark_ready(connection, asset_id, space_id)
    words.index_assets(connection, [asset_id])
    return asset_id


def names(connection: Connection, text: str) -> list[int]:
    return [hit.asset_id for hit in find_names(connection, text, ALL, where=true(), k=50)]


def passages(connection: Connection, text: str) -> list[int]:
    return [hit.asset_id for hit in find_passages(connection, text, 1, where=true(), k=50)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("IMG_2034-dogInSnow.jpg", ["IMG", "2034", "dogInSnow", "jpg", "dog", "In", "Snow"]),
        ("HTMLFile2.tar.gz", ["HTMLFile2", "tar", "gz", "HTML", "File", "2"]),
        ("a dog's day (1).png", ["a", "dog", "s", "day", "1", "png"]),
        ("Größe_été.wav", ["Größe", "été", "wav"]),
        ("...", []),
        ("d\udcffg.jpg", ["d", "g", "jpg"]),
    ],
)
def test_names_split_at_punctuation_capitals_and_digits(name: str, found: list[str]) -> None:
    assert split_words(name) == found


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_splitting_takes_anything_and_loses_no_letter(text: str) -> None:
    found = split_words(text)
    assert all(word and not word.isspace() for word in found)
    letters = set("".join(found))
    ascii_letters = {char for char in text if char.isascii() and char.isalnum()}
    assert ascii_letters <= letters


def test_words_of_names_folders_and_titles_are_found(connection: Connection) -> None:
    photo = add(connection, "/media/Holiday2019/IMG_2034-dogInSnow.jpg")
    song = add(connection, "/media/music/01.ogg", title="Winter Journey")
    add(connection, "/media/music/other.png")
    assert names(connection, "snow") == [photo]
    assert set(names(connection, "the DOGS of winter")) == {song, photo}
    assert names(connection, "holiday 2019") == [photo]
    assert names(connection, "journey") == [song]
    assert names(connection, "zebra") == []
    assert names(connection, "") == []
    assert names(connection, '" OR name:x * ( -') == []


def test_accents_and_case_do_not_matter(connection: Connection) -> None:
    cafe = add(connection, "/media/Café au lait.jpg")
    assert names(connection, "cafe") == names(connection, "CAFÉ") == names(connection, "cafe\u0301") == [cafe]


def test_passages_are_found_while_they_are_ready(connection: Connection) -> None:
    story = add(connection, "/media/story.txt", "A dog runs through the snow.")
    add(connection, "/media/recipe.txt", "Flour and water.")
    assert passages(connection, "running dogs") == [story]
    segments.mark_asset_deleting(connection, story)
    assert passages(connection, "running dogs") == []


def test_a_text_beside_a_picture_describes_it(connection: Connection) -> None:
    photo = add(connection, "/media/a/dog.jpg")
    other = add(connection, "/media/a/dog.png")
    add(connection, "/media/a/doghouse.jpg")
    add(connection, "/media/b/dog.jpg")
    add(connection, "/media/a/dog.txt", "Rex digs in the garden")
    exact = add(connection, "/media/a/cat.jpg")
    add(connection, "/media/a/cat.png")
    add(connection, "/media/a/cat.jpg.txt", "Mia sleeps in the garden")

    def described(text: str) -> set[int]:
        hits = find_passages(connection, text, 1, where=true(), k=50)
        return {hit.asset_id for hit in beside_texts(connection, hits, ALL, where=true())}

    assert described("Rex") == {photo, other}
    assert described("Mia") == {exact}
    assert described("garden") == {photo, other, exact}
    assert described("zebra") == set()


def test_a_name_finds_its_files(connection: Connection) -> None:
    first = add(connection, "/media/2019/Dog.JPG")
    second = add(connection, "/media/2020/dog.jpg")
    camera = add(connection, "/media/2020/IMG_2034.jpg")
    assert assets_named(connection, "dog.jpg") == [first, second]
    assert assets_named(connection, "2020/DOG.jpg") == [second]
    assert assets_named(connection, "020/dog.jpg") == []
    assert assets_named(connection, "img_2034") == [camera]
    assert assets_named(connection, "dog") == []
    assert assets_named(connection, "/") == []


def test_words_follow_moves_and_go_with_their_asset(connection: Connection) -> None:
    asset_id = add(connection, "/media/dog.jpg")
    connection.execute(update(Asset).where(Asset.id == asset_id).values(path="/media/cats/kitten.jpg"))
    words.index_assets(connection, [asset_id])
    assert (names(connection, "dog"), names(connection, "kitten")) == ([], [asset_id])
    segments.mark_asset_deleting(connection, asset_id)
    segments.delete_segments(connection, [1])
    assets.delete_assets(connection, [asset_id])
    assert names(connection, "kitten") == assets_named(connection, "kitten.jpg") == []


def test_assets_of_an_older_version_get_their_words(connection: Connection) -> None:
    asset_id = add(connection, "/media/dog.jpg")
    connection.execute(delete(AssetWords))
    assert names(connection, "dog") == []
    assert words.catch_up(connection) == 1
    assert names(connection, "dog") == [asset_id]
    assert words.catch_up(connection) == 0


def test_the_index_agrees_with_what_it_indexes_after_many_changes(tmp_path: Path) -> None:
    with closing(Catalog.open(tmp_path)) as catalog, catalog.write() as connection:
        ids = [add(connection, f"/media/file{n}.txt", f"passage {n} of words") for n in range(20)]
        for asset_id in ids[::2]:
            segments.mark_asset_deleting(connection, asset_id)
        segments.delete_segments(connection, range(1, 21, 2))
        assets.delete_assets(connection, ids[::2])
    with closing(sqlite3.connect(tmp_path / CATALOG_FILE)) as raw:
        for table in ("asset_words_fts", "passages_fts"):
            raw.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (10,)

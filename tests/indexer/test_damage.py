"""Damaged vector files of every kind: named by verify, dropped by --repair, embedded again by index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.errors import StoreCorrupt
from searchkit.stores.faiss import FaissStore, Tuning
from tests.libraries.words_encoder import DIM, WordsEncoder
from tests.media_files import write_text


def opened(folder: Path) -> sk.Library:
    library = sk.open_library(folder)
    library._encoder = WordsEncoder()
    return library


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose one collection has a file of each kind."""
    place = tmp_path_factory.mktemp("damage")
    media, folder = place / "media", place / "library"
    for number in range(30):
        write_text(media / f"{number}.txt", f"note {number} about a harbour and {7 * number} ships")

    def run() -> None:
        with opened(folder) as library:
            library.index(media)

    def sealed(action: Callable[[FaissStore], None], **tuning: int) -> None:
        (collection,) = (folder / "vectors").iterdir()
        store = FaissStore(collection, DIM, tuning=Tuning(**tuning))
        action(store)
        store.close()

    run()
    sealed(FaissStore.compact, seal=8, exact=0, coded=1, graph=10)
    (media / "3.txt").unlink()
    write_text(media / "4.txt", "a lighthouse")
    run()
    sealed(lambda store: store._writable().seal())
    write_text(media / "log.txt", "a log in the woods")
    run()
    return place


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 0x40
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


KINDS = (
    "manifest.json",
    "log-*",
    "*1.rows",
    "*1.ids",
    "*1.dead-*",
    "*1.codes",
    "*1.graph",
    "*2.rows",
    "*2.ids",
)
DERIVED = ("*1.codes", "*1.graph")


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=["byte", "cut", "gone"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_named_dropped_and_made_again(
    tmp_path: Path, whole: Path, kind: str, damage: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(whole / "library", tmp_path / "library")
    (collection,) = (folder / "vectors").iterdir()
    (victim,) = collection.glob(kind)
    damage(victim)
    with opened(folder) as library:
        (check,) = library.verify().collections
        assert not check.clean
        torn = kind == "log-*" and damage is not Path.unlink
        # the end of a log may be torn by a crash: that is no damage, and its rows are missing
        assert check.missing if torn else str(victim) in check.damage
        repaired = library.verify(repair=True)
        assert repaired.clean
        assert torn or str(victim) in repaired.dropped[0]
        lost = repaired.embed_again
        assert (lost == 0) == (kind in DERIVED)
        if kind in ("*2.rows", "*2.ids", "log-*"):
            assert lost <= 2
        report = library.index(whole / "media")
        assert (report.new, report.same) == (lost, 30 - lost)
        assert library.verify().clean
        assert len(library.search("harbour", k=100)) == 30


def test_a_run_on_damaged_files_says_what_to_type(tmp_path: Path, whole: Path) -> None:
    folder = shutil.copytree(whole / "library", tmp_path / "library")
    next((folder / "vectors").rglob("*1.rows")).unlink()
    write_text(tmp_path / "media" / "new.txt", "new")
    with opened(folder) as library:
        with pytest.raises(StoreCorrupt, match="is missing") as caught:
            library.index(tmp_path / "media")
        assert caught.value.hint.startswith("searchkit verify --repair && searchkit index")

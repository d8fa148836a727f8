"""A library copied between stores and databases: all of it is there; an interrupted copy harms nothing."""

# ruff: noqa: F811 - pytest hands fixtures in by name
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

import searchkit as sk
from searchkit.catalog import spaces
from searchkit.catalog.tables import Base
from searchkit.errors import LibraryLocked, StoreCorrupt, UsageError
from searchkit.indexer.writer import Writer
from tests.indexer import killing_copy
from tests.media_files import write_folder, write_text
from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[sk.Library]:
    place = tmp_path_factory.mktemp("source") / "library"
    with sk.open_library(place, decoder="threads") as library:
        library.index(media)
        extra = write_text(media / "texts" / "gone.txt", "It will be gone.")
        library.index(media)
        extra.unlink()
        library.index(media)  # so that the highest ids are no longer in use
        library.tag(media / "texts", add=["read", "written"])
        library.save_query("snow", "text:snow", to="text", where="tag:read")
        yield library


def rows_of(library: sk.Library) -> dict[str, list[tuple[object, ...]]]:
    with library.catalog.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
            if table.name != "shared_settings"
        }


def vectors_of(library: sk.Library) -> dict[str, tuple[list[int], np.ndarray]]:
    found = {}
    with library.catalog.read() as connection:
        refs = [
            (ref, space.dim)
            for space_id, space in spaces.spaces(connection)
            for ref in spaces.collections_of(connection, space_id)
        ]
    for ref, dim in refs:
        store = library.open_store(ref, dim, read_only=True)
        found[ref.name] = store.ids().tolist(), store.fetch(store.ids())
        store.close()
    return found


def assert_same_library(copy: sk.Library, source: sk.Library) -> None:
    assert rows_of(copy) == rows_of(source)
    copied, expected = vectors_of(copy), vectors_of(source)
    assert copied.keys() == expected.keys()
    for name, (ids, rows) in expected.items():
        assert copied[name][0] == ids
        np.testing.assert_array_equal(copied[name][1], rows)
    assert copy.verify().clean
    for query in ("@snow", "steam train"):
        found = copy.search(query, spans=True, hybrid=True)
        assert "words" in found[0].found_by
        assert found.to_dict() == source.search(query, spans=True, hybrid=True).to_dict()


@pytest.mark.parametrize("store", ["faiss", "qdrant+local"])
def test_a_copy_has_everything_and_goes_on_by_itself(
    tmp_path: Path, source: sk.Library, media: Path, store: str
) -> None:
    if store == "qdrant+local":
        pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
        store = f"{store}:{tmp_path / 'vectors'}"
    reports: list[tuple[str, int, int]] = []
    done = source.copy(tmp_path / "copy", store=store, progress=lambda *given: reports.append(given))
    assert reports[-1][1:] == (done.segments, done.segments)
    with sk.open_library(tmp_path / "copy", decoder="threads") as copy:
        assert copy.settings.store == store
        assert copy.settings.library_id != source.settings.library_id
        assert_same_library(copy, source)
        before = max(row[0] for row in rows_of(source)["segments"])
        report = copy.index(media)
        assert (report.new, report.same) == (0, 8)
        write_text(tmp_path / "more" / "new.txt", "A lighthouse.")
        copy.index(tmp_path / "more")
        (found,) = copy.search("a lighthouse", to="text", k=1)
        # the id of the text that is gone is not given out a second time
        assert found.segment_id > before + 1


@pytest.mark.xdist_group("postgres")
def test_a_copy_to_postgresql_and_back_has_everything(
    tmp_path: Path, source: sk.Library, postgres_url: str
) -> None:
    source.copy(tmp_path / "there", catalog=postgres_url)
    with sk.open_library(tmp_path / "there", catalog=postgres_url, decoder="threads") as there:
        assert rows_of(there) == rows_of(source)
        assert there.verify().clean
        with pytest.raises(UsageError, match="not empty"):
            source.copy(tmp_path / "again", catalog=postgres_url)
        write_text(tmp_path / "more" / "new.txt", "A lighthouse.")
        there.index(tmp_path / "more")
        there.copy(tmp_path / "back")
        with sk.open_library(tmp_path / "back") as back:
            assert_same_library(back, there)


def test_the_target_must_not_be_there(tmp_path: Path, source: sk.Library) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="full is there already"):
        source.copy(tmp_path / "full")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "letter.txt"]
    with pytest.raises(UsageError, match="keeps nothing"):
        source.copy(tmp_path / "copy", store="exact")
    (tmp_path / "empty").mkdir()
    source.copy(tmp_path / "empty")
    with sk.open_library(tmp_path / "empty", create=False) as copy:
        assert_same_library(copy, source)


def test_a_library_that_is_being_written_is_not_copied(tmp_path: Path, source: sk.Library) -> None:
    with Writer(source), pytest.raises(LibraryLocked):
        source.copy(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_missing_vectors_are_said_and_no_copy_is_made(tmp_path: Path, source: sk.Library) -> None:
    source.copy(tmp_path / "broken")
    with sk.open_library(tmp_path / "broken") as broken:
        (name, (ids, _)), *_ = vectors_of(broken).items()
        with Writer(broken) as writer, broken.catalog.read() as connection:
            ((space_id, _),) = spaces.spaces(connection)
            ref = next(ref for ref in spaces.collections_of(connection, space_id) if ref.name == name)
            writer.store(ref.id).delete(ids[:1])
        with pytest.raises(StoreCorrupt, match=f"lacks vectors.*{ids[0]}"):
            broken.copy(tmp_path / "copy")
        assert not (tmp_path / "copy").exists()


def test_a_copy_killed_anywhere_is_none_and_can_be_begun_again(
    tmp_path: Path, repository: Path, source: sk.Library
) -> None:
    command = [sys.executable, "-m", killing_copy.__name__, str(source.folder), str(tmp_path)]
    killed = int(subprocess.check_output(command, cwd=repository))
    assert killed > 12
    resumed = 0
    for step in range(killed):
        target = tmp_path / str(step) / "library"
        if not target.exists():  # the last step is the rename's own sync
            done = source.copy(target)
            resumed += done.sent < done.segments
        with sk.open_library(target, create=False) as copy:
            assert rows_of(copy) == rows_of(source), f"killed at step {step}"
            assert copy.verify().clean, f"killed at step {step}"
        assert [path.name for path in target.parent.iterdir()] == ["library"]
    assert resumed > 4


def test_a_copy_of_another_library_begins_anew(tmp_path: Path, source: sk.Library) -> None:
    with sk.open_library(tmp_path / "other", decoder="threads") as other:
        write_text(tmp_path / "media" / "ship.txt", "A ship sails.")
        other.index(tmp_path / "media")
        unfinished = tmp_path / ".copy.unfinished"
        command = [sys.executable, "-c", STOPPED, str(source.folder), str(tmp_path / "copy")]
        subprocess.run(command, check=False)
        assert unfinished.is_dir()
        done = other.copy(tmp_path / "copy")
        assert (done.sent, done.segments) == (1, 1)
    assert not unfinished.exists()


STOPPED = """
import os, sys
import searchkit as sk
with sk.open_library(sys.argv[1]) as library:
    library.copy(sys.argv[2], progress=lambda *_: os._exit(1))
"""

"""Whole runs of the indexer with the built-in model: first, second, after changes, with bad files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import searchkit as sk
from searchkit.errors import LibraryError, LibraryLocked, SpaceMismatch, UsageError
from tests.media_files import write_folder, write_picture, write_sound, write_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "media")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[sk.Library]:
    with sk.open_library(tmp_path / "library") as opened:
        yield opened


def top(library: sk.Library, query: sk.Query, **options: object) -> Path:
    return library.search(query, k=1, **options)[0].path


def test_a_first_run_finds_every_good_file_and_names_every_bad_one(library: sk.Library, folder: Path) -> None:
    report = library.index(folder)
    assert (report.new, report.failed, report.skipped) == (8, 1, 1)
    (failure,) = report.errors
    assert failure.path == str(folder / "broken.jpg")
    assert failure.reason
    assert [error.path for error in library.errors()] == [str(folder / "broken.jpg")]
    held = library.status()
    assert held.assets == {sk.Modality.IMAGE: 4, sk.Modality.AUDIO: 2, sk.Modality.TEXT: 2}
    assert library.verify().clean


def test_each_file_is_its_own_best_match(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    for number in range(4):
        path = folder / f"picture{number}.png"
        assert top(library, sk.image(path), to="image") == path
    for name in ("short.wav", "long.flac"):
        assert top(library, sk.audio(folder / "sounds" / name), to="audio") == folder / "sounds" / name
    assert top(library, sk.text("a dog in snow"), to="text") == folder / "texts" / "dog.txt"


def test_a_second_run_decodes_nothing(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    before = library.status().segments
    report = library.index(folder)
    assert (report.new, report.changed, report.same, report.failed, report.segments) == (0, 0, 8, 1, 0)
    assert library.status().segments == before


def test_no_paths_means_all_that_was_indexed_before(
    library: sk.Library, folder: Path, tmp_path: Path
) -> None:
    library.index(folder, write_picture(tmp_path / "single.png", 77))
    write_picture(folder / "late.png", 50)
    assert (library.index().new, library.index().same) == (1, 10)


def test_a_changed_file_is_found_by_its_new_content_only(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    path = write_text(folder / "texts" / "dog.txt", "An orchestra plays a waltz by candle light.")
    report = library.index(folder)
    assert (report.changed, report.same) == (1, 7)
    results = library.search("a waltz by candle light", to="text")
    assert results[0].path == path
    assert len([result for result in results if result.path == path]) == 1
    assert library.verify().clean


def test_a_touched_file_is_not_embedded_again(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    os.utime(folder / "picture0.png", ns=(1, 1))
    report = library.index(folder)
    assert (report.changed, report.same, report.segments) == (0, 8, 0)
    assert library.index(folder).same == 8


def test_a_moved_file_keeps_its_id_and_is_not_embedded_again(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    before = library.search(sk.image(folder / "picture2.png"), to="image", k=1)[0]
    (folder / "albums").mkdir()
    target = folder / "albums" / "renamed.png"
    (folder / "picture2.png").rename(target)
    report = library.index(folder)
    assert (report.moved, report.new, report.gone, report.segments) == (1, 0, 0, 0)
    after = library.search(sk.image(target), to="image", k=1)[0]
    assert (after.path, after.asset_id, after.segment_id) == (target, before.asset_id, before.segment_id)


def test_a_deleted_file_is_found_no_more(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    (folder / "picture1.png").unlink()
    report = library.index(folder)
    assert (report.gone, report.same) == (1, 7)
    results = library.search(sk.image(folder / "picture0.png"), to="image", k=10)
    assert folder / "picture1.png" not in [result.path for result in results]
    assert library.verify().clean


def test_a_file_that_breaks_keeps_its_old_segments(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    path = folder / "picture3.png"
    original = path.read_bytes()
    path.write_bytes(original[: len(original) // 2])
    report = library.index(folder)
    assert (report.failed, report.same) == (2, 7)
    assert path in [result.path for result in library.search("anything", to="image")]
    path.write_bytes(original)
    report = library.index(folder)
    assert (report.failed, report.same, report.segments) == (1, 8, 0)


def test_a_failed_file_is_tried_again_when_asked_or_changed(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    assert library.index(folder, retry_failed=True).failed == 1
    write_picture(folder / "good.png", 9)
    shutil.move(folder / "good.png", folder / "broken.jpg")
    report = library.index(folder)
    assert (report.failed, report.new + report.changed) == (0, 1)
    assert library.errors() == []


def test_a_file_that_becomes_something_else_changes_kind(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    write_sound(folder / "other.wav", 5).replace(folder / "picture0.png")
    library.index(folder)
    kinds = {result.path.name: result.modality for result in library.search("anything", k=20)}
    assert kinds["picture0.png"] is sk.Modality.AUDIO
    assert library.verify().clean


def test_other_decoding_settings_embed_again(tmp_path: Path) -> None:
    folder, place = write_folder(tmp_path / "media"), tmp_path / "library"
    with sk.open_library(place) as library:
        windows = library.index(folder).segments
    with sk.open_library(place, decode={"audio_window_s": 5, "audio_overlap_s": 0}) as library:
        report = library.index(folder)
        assert (report.changed, report.same) == (8, 0)
        assert report.segments > windows
        assert library.verify().clean


def test_a_library_of_an_older_form_of_the_model_is_embedded_anew(tmp_path: Path) -> None:
    write_text(tmp_path / "media" / "dog.txt", "a dog in snow")
    place = tmp_path / "library"
    with sk.open_library(place) as library:
        library.index(tmp_path / "media")
    with closing(sqlite3.connect(place / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE spaces SET fingerprint = 'older', revision = 'older'")
        catalog.execute("UPDATE collections SET name = 'older.text'")
    with sk.open_library(place) as library:
        with pytest.raises(SpaceMismatch, match="present form") as caught:
            library.search("dog")
        assert caught.value.hint == "searchkit index --model mini"
        library.index()
        assert top(library, sk.text("dog")) == tmp_path / "media" / "dog.txt"


def test_an_emptied_folder_is_refused_unless_meant(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(LibraryError, match="is empty") as caught:
        library.index(folder)
    assert "--allow-empty" in caught.value.hint
    assert len(library.search("anything", k=20)) == 8
    assert library.index(folder, allow_empty=True).gone == 10
    assert len(library.search("anything", k=20)) == 0


@pytest.mark.parametrize("content", [[], ["a.bin"]])
def test_folders_without_media_are_an_error(library: sk.Library, tmp_path: Path, content: list[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in content:
        (empty / name).write_bytes(bytes(range(256)))
    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            library.index(empty)
        assert "searchkit index" in caught.value.hint


def test_a_missing_path_is_named_and_nothing_is_lost(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    with pytest.raises(UsageError, match="no-such-folder"):
        library.index(folder.parent / "no-such-folder")
    with pytest.raises(UsageError, match="no-such-folder"):
        library.index(folder, folder.parent / "no-such-folder")
    assert len(library.search("anything", k=20)) == 8


def test_remove_takes_files_out_and_leaves_them_on_disk(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    assert library.remove(folder / "sounds") == 2
    assert len(library.search("anything", to="audio")) == 0
    assert (folder / "sounds" / "short.wav").exists()
    with pytest.raises(UsageError, match="nothing"):
        library.remove(folder / "sounds")
    assert library.verify().clean


def test_dry_run_says_what_would_be_done_and_does_nothing(library: sk.Library, folder: Path) -> None:
    report = library.index(folder, dry_run=True)
    assert (report.new, report.segments) == (10, 0)
    assert library.status().assets == {}


def test_a_run_that_is_stopped_goes_on_later(library: sk.Library, folder: Path) -> None:
    stop = threading.Event()
    stop.set()
    report = library.index(folder, stop=stop)
    assert report.interrupted
    report = library.index(folder)
    assert report.new + report.same == 8
    assert len(library.search("anything", k=20)) == 8


def test_two_indexers_do_not_meet(library: sk.Library, folder: Path) -> None:
    from searchkit.indexer.writer import Writer

    script = (
        "import sys, searchkit as sk\n"
        "from searchkit.errors import LibraryLocked\n"
        "try:\n"
        "    sk.open_library(sys.argv[1]).index(sys.argv[2])\n"
        "except LibraryLocked as error:\n"
        "    print(error.message)\n"
    )
    with Writer(library):
        arguments = [sys.executable, "-c", script, str(library.folder), str(folder)]
        answer = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert str(os.getpid()) in answer.stdout
        with pytest.raises(LibraryLocked):
            library.index(folder)
    assert library.index(folder).new == 8


def test_copies_are_one_result_that_names_them_all(library: sk.Library, folder: Path) -> None:
    shutil.copy(folder / "picture0.png", folder / "copy.png")
    assert library.index(folder).new == 9
    results = library.search(sk.image(folder / "picture0.png"), to="image", k=2)
    assert {results[0].path.name, *(copy.name for copy in results[0].copies)} == {"picture0.png", "copy.png"}
    assert results[1].path.name not in ("picture0.png", "copy.png")


def test_searches_in_other_threads_go_on_while_an_index_runs(library: sk.Library, folder: Path) -> None:
    library.index(folder)
    failures: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            try:
                assert top(library, sk.text("a dog in snow"), to="text").name == "dog.txt"
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10, 16):
            write_sound(folder / f"{number}.wav", number)
            write_text(folder / f"{number}.txt", f"Number {number} about ships and harbours.")
            library.index(folder)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []

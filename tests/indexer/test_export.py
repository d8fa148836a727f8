"""Exports: read by other programs, made a library again, and refused when they are damaged."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import searchkit as sk
from searchkit.errors import DependencyMissing, LibraryNotFound, SearchkitError, UsageError
from tests.indexer.test_copy import rows_of, vectors_of
from tests.media_files import write_folder

KINDS = ["npy", "parquet"]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_folder(tmp_path_factory.mktemp("media"))
    (folder / "texts" / "train.md").rename(folder / "texts" / "tr\udce4in.md")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[sk.Library]:
    place = tmp_path_factory.mktemp("source") / "library"
    with sk.open_library(place, decoder="threads", decode={"audio_window_s": 20}) as library:
        library.index(media)
        library.tag(media / "texts", add=["read"])
        yield library


def needs(kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_becomes_the_same_library_again(
    tmp_path: Path, source: sk.Library, media: Path, kind: str
) -> None:
    needs(kind)
    done = source.export(tmp_path / "export", kind=kind)
    assert (done.assets, done.segments) == (8, sum(done.collections.values()))
    with sk.import_library(tmp_path / "export", tmp_path / "library") as made:
        assert made.space.fingerprint == source.space.fingerprint
        old, new = rows_of(source), rows_of(made)
        for table in ("segments", "asset_tags", "asset_words"):
            assert new[table] == old[table]
        embedded = {row[0] for row in new["assets"]}
        assert new["assets"] == [row for row in old["assets"] if row[0] in embedded]
        expected = vectors_of(source)
        for name, (ids, rows) in vectors_of(made).items():
            assert ids == expected[name][0]
            np.testing.assert_array_equal(rows, expected[name][1])
        assert made.verify().clean
        query = "a dog in the snow"
        assert made.search(query, hybrid=True).to_dict() == source.search(query, hybrid=True).to_dict()
    with sk.open_library(tmp_path / "library", decoder="threads") as made:
        report = made.index(media)
        assert (report.new, report.changed, report.same) == (0, 0, 8)


def test_numpy_reads_an_export(tmp_path: Path, source: sk.Library) -> None:
    source.export(tmp_path / "export", kind="npy", to="text", where="path:**/dog.txt")
    (name,) = [path.stem for path in (tmp_path / "export").glob("*.npy")]
    rows = [json.loads(line) for line in (tmp_path / "export" / f"{name}.jsonl").read_text().splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["dog.txt"]
    expected = dict(zip(*vectors_of(source)[name], strict=True))
    found = np.load(tmp_path / "export" / f"{name}.npy")
    np.testing.assert_array_equal(found, [expected[rows[0]["segment_id"]]])
    told = json.loads((tmp_path / "export" / "export.json").read_text())["collections"][0]["space"]
    assert told["fingerprint"] == source.space.fingerprint


def test_parquet_holds_ids_paths_spans_vectors_and_the_space(tmp_path: Path, source: sk.Library) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    source.export(tmp_path / "export", kind="parquet", to="audio")
    (path,) = (tmp_path / "export").glob("mini*.parquet")
    table = parquet.read_table(path)
    ids, rows = vectors_of(source)[path.stem]
    assert table.column("segment_id").to_pylist() == ids
    np.testing.assert_array_equal(np.stack(table.column("vector").to_pylist()), rows)
    long = [row for row in table.to_pylist() if row["path"].endswith("long.flac")]
    assert [row["start_s"] for row in long] == sorted(row["start_s"] for row in long)
    assert long[0]["end_s"] > long[0]["start_s"] == 0
    assert json.loads(table.schema.metadata[b"searchkit"])["fingerprint"] == source.space.fingerprint


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, source: sk.Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "searchkit.indexer.moving.parquet", raising=False)
    with pytest.raises(DependencyMissing) as caught:
        source.export(tmp_path / "export", kind="parquet")
    assert caught.value.hint == "pip install 'searchkit[parquet]'"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def export(tmp_path: Path, source: sk.Library) -> Path:
    source.export(tmp_path / "export", kind="npy")
    return tmp_path / "export"


def refused(export: Path, match: str) -> None:
    """The export is refused with that message, and nothing is made of it."""
    target = export.parent / "library"
    with pytest.raises(UsageError, match=match):
        sk.import_library(export, target)
    assert [path.name for path in export.parent.iterdir()] == ["export"]
    with pytest.raises(LibraryNotFound):
        sk.open_library(target, create=False)


def test_every_changed_byte_is_noticed(export: Path) -> None:
    for path in sorted(export.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :]
        )
        with pytest.raises(SearchkitError, match=str(export)):
            sk.import_library(export, export.parent / "library")
        path.write_bytes(whole)
    path.unlink()
    refused(export, "no such file")


def test_what_was_written_by_hand_is_checked(export: Path) -> None:
    name = next(export.glob("*.image.npy")).stem
    vectors = np.load(export / f"{name}.npy")
    cases = {
        "unit length": vectors * 2,
        "expected float vectors": vectors[:, :5],
        "not as many": vectors[:-1],
    }
    for message, wrong in cases.items():
        np.save(export / f"{name}.npy", wrong)
        sign_again(export)
        refused(export, message)
    np.save(export / f"{name}.npy", vectors)
    lines = (export / f"{name}.jsonl").read_text().splitlines()
    for message, wrong_line in (
        ("does not fit", '{"segment_id": 1}'),
        ("contradicts itself", lines[1]),
        ("Expecting value", "?"),
        ("does not fit", "[]"),
    ):
        (export / f"{name}.jsonl").write_text("\n".join([wrong_line, *lines[1:]]))
        sign_again(export)
        refused(export, message)


def test_a_manifest_that_lies_is_refused(export: Path) -> None:
    manifest = json.loads((export / "export.json").read_text())
    for key, value, message in (
        ("format", 2, "later version"),
        ("kind", "csv", "no export format"),
        ("collections", [{}], "does not parse"),
        ("files", [{"name": "../x", "size_bytes": 1, "crc32": 1}], "names the file"),
    ):
        (export / "export.json").write_text(json.dumps({**manifest, key: value}))
        refused(export, message)
    manifest["collections"][0]["space"]["revision"] = "another"
    (export / "export.json").write_text(json.dumps(manifest))
    refused(export, "fingerprint")


def sign_again(export: Path) -> None:
    path = export / "export.json"
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        content = (export / file["name"]).read_bytes()
        file |= {"size_bytes": len(content), "crc32": zlib.crc32(content)}
    path.write_text(json.dumps(manifest))


def test_places_that_are_taken_are_refused(tmp_path: Path, source: sk.Library, export: Path) -> None:
    with pytest.raises(UsageError, match="there already"):
        source.export(export, kind="npy")
    with pytest.raises(UsageError, match="there already"):
        sk.import_library(export, source.folder)
    with pytest.raises(UsageError, match="no export format"):
        source.export(tmp_path / "other", kind="csv")
    assert source.verify().clean

"""Checks a collection's bytes: sizes, checksums, ids, and that every row is a finite unit vector."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from searchkit.stores.faiss.codes import CODES_SUFFIX
from searchkit.stores.faiss.graph import GRAPH_SUFFIX
from searchkit.stores.faiss.manifest import FileEntry, Manifest
from searchkit.stores.faiss.snapshot import Part, Snapshot
from searchkit.stores.report import StoreReport, bad_rows

__all__ = ["check_file", "check_part", "damaged_derived", "describe", "verify_collection"]

_CHUNK_BYTES = 1 << 22
_CHUNK_ROWS = 2048


def describe(manifest: Manifest | None, snapshot: Snapshot, problems: tuple[str, ...] = ()) -> StoreReport:
    """A collection's size, from what is known already."""
    parts = [part for part in snapshot.segments if part.segment is not None]
    entries = manifest.segments if manifest is not None else ()
    return StoreReport(
        rows=len(snapshot),
        segments=len(parts),
        coded=sum(part.live_count for part in parts if part.segment and part.segment.has(CODES_SUFFIX)),
        graphed=sum(part.live_count for part in parts if part.segment and part.segment.has(GRAPH_SUFFIX)),
        size_bytes=sum(file.size_bytes for entry in entries for file in entry.files()),
        problems=problems,
    )


def verify_collection(folder: Path, manifest: Manifest | None, snapshot: Snapshot) -> StoreReport:
    """Read every byte of a collection and say what is wrong."""
    entries = manifest.segments if manifest is not None else ()
    problems = [
        problem for entry in entries for file in entry.files() for problem in check_file(folder, file)
    ]
    for part in snapshot.parts:
        problems += check_part(part)
    ids = snapshot.ids()
    if bool((ids[1:] == ids[:-1]).any()):
        problems.append(f"{folder}: the id {int(ids[:-1][ids[1:] == ids[:-1]][0])} is stored twice")
    return describe(manifest, snapshot, tuple(problems))


def damaged_derived(folder: Path, manifest: Manifest) -> set[str]:
    """Names of damaged files that can be made anew from the rows."""
    derived = [file for entry in manifest.segments for file in entry.derived]
    return {file.name for file in derived if list(check_file(folder, file))}


def check_file(folder: Path, entry: FileEntry) -> Iterator[str]:
    """What is wrong with a file: that it cannot be read, its size, its checksum."""
    path, crc32, size_bytes = folder / entry.name, 0, 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                crc32, size_bytes = zlib.crc32(chunk, crc32), size_bytes + len(chunk)
    except OSError as error:
        yield f"{path}: cannot be read: {error.strerror}"
        return
    if size_bytes != entry.size_bytes:
        yield f"{path}: has {size_bytes} bytes, expected {entry.size_bytes}"
    elif crc32 != entry.crc32:
        yield f"{path}: the checksum does not match: its bytes have changed since they were written"


def check_part(part: Part) -> Iterator[str]:
    """What is wrong with a part's ids and rows."""
    place = "the log" if part.segment is None else str(part.segment.folder / part.segment.entry.rows.name)
    if part.segment is not None and not bool((part.ids[1:] > part.ids[:-1]).all()):
        yield f"{part.segment.folder / part.segment.entry.ids.name}: the ids are not in order"
    live = np.ones(len(part.ids), dtype=np.bool_) if part.alive is None else part.alive
    for start in range(0, len(part.ids), _CHUNK_ROWS):
        bad = bad_rows(part.rows[start : start + _CHUNK_ROWS]) + start
        bad = bad[live[bad]]
        if len(bad):
            yield f"{place}: the row of id {int(part.ids[bad[0]])} is not a finite vector of unit length"
            return

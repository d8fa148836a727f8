"""Sealed segments: immutable, memory-mapped files of float16 rows in ascending order of id.

The rows file is a faiss scalar-quantizer index (so that faiss maps it as it is); reading and writing it takes
numpy alone. It knows nothing of which rows are dead.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from searchkit.durable import replace_file
from searchkit.errors import StoreCorrupt
from searchkit.stores.faiss.manifest import FileEntry, SegmentEntry
from searchkit.types import IdArray

__all__ = ["HalfArray", "Segment", "open_segment", "read_mask", "rows_header", "write_mask", "write_segment"]

HalfArray = npt.NDArray[np.float16]
BoolArray = npt.NDArray[np.bool_]

_CHUNK_BYTES = 1 << 22
_HINT = "restore it from a backup, or index again"


class Segment:
    """One sealed segment: ``ids`` (N,) int64 ascending, ``rows`` (N, dim) float16, both mapped."""

    def __init__(self, folder: Path, entry: SegmentEntry, dim: int) -> None:
        self.entry = entry
        self.folder = folder
        self.dim = dim
        offset = len(rows_header(dim, entry.count))
        check_size(folder, entry.ids, 8 * entry.count)
        check_size(folder, entry.rows, offset + 2 * dim * entry.count)
        self.ids: IdArray = np.asarray(np.memmap(folder / entry.ids.name, "<i8", "r"))
        rows = np.memmap(folder / entry.rows.name, "<f2", "r", offset=offset, shape=(entry.count, dim))
        self.rows: HalfArray = np.asarray(rows)
        self.first_id, self.last_id = int(self.ids[0]), int(self.ids[-1])


def open_segment(folder: Path, entry: SegmentEntry, dim: int) -> Segment:
    """Map a segment's files.

    Raises:
        StoreCorrupt: a file has the wrong size.
        FileNotFoundError: a file is missing (or was merged away a moment ago).
    """
    return Segment(folder, entry, dim)


def write_segment(
    folder: Path, name: str, dim: int, ids: IdArray, blocks: Sequence[HalfArray] | npt.NDArray[np.float16]
) -> SegmentEntry:
    """Write a segment durably: ascending ids (N,), and its rows in one array or in several blocks.

    Raises:
        DiskFull: the device is full; nothing of the segment counts.
    """
    parts = [blocks] if isinstance(blocks, np.ndarray) else blocks
    with replace_file(folder / f"{name}.rows") as file:
        written = _Checksum(file)
        written.write(rows_header(dim, len(ids)))
        step = max(1, _CHUNK_BYTES // (2 * dim))
        for part in parts:
            for start in range(0, len(part), step):
                written.write(np.ascontiguousarray(part[start : start + step], dtype="<f2").tobytes())
        rows = written.entry(f"{name}.rows")
    with replace_file(folder / f"{name}.ids") as file:
        written = _Checksum(file)
        written.write(ids.astype("<i8").tobytes())
        listed = written.entry(f"{name}.ids")
    return SegmentEntry(name=name, count=len(ids), rows=rows, ids=listed)


def write_mask(folder: Path, name: str, mask: BoolArray) -> FileEntry:
    """Write a mask of dead rows durably, one bit a row.

    Raises:
        DiskFull: the device is full.
    """
    with replace_file(folder / name) as file:
        written = _Checksum(file)
        written.write(np.packbits(mask, bitorder="little").tobytes())
        return written.entry(name)


def read_mask(folder: Path, entry: FileEntry, count: int) -> BoolArray:
    """Read a mask of ``count`` dead rows.

    Raises:
        StoreCorrupt: the file is damaged.
    """
    check_size(folder, entry, (count + 7) // 8)
    content = (folder / entry.name).read_bytes()
    if zlib.crc32(content) != entry.crc32:
        raise StoreCorrupt(f"{folder / entry.name} is damaged: the checksum does not match", hint=_HINT)
    bits = np.unpackbits(np.frombuffer(content, np.uint8), count=count, bitorder="little")
    return bits.astype(np.bool_)


def check_size(folder: Path, entry: FileEntry, expected_bytes: int) -> None:
    """Compare a file's size with the manifest and with what its rows need.

    Raises:
        StoreCorrupt: they differ.
    """
    actual = (folder / entry.name).stat().st_size
    if not actual == entry.size_bytes == expected_bytes:
        raise StoreCorrupt(
            f"{folder / entry.name} is damaged: it has {actual} bytes, expected {expected_bytes}", hint=_HINT
        )


def rows_header(dim: int, count: int) -> bytes:
    """The head of a faiss IndexScalarQuantizer file (float16, inner product) before its rows."""
    size = 2 * dim
    index = struct.pack("<4siqqqBi", b"IxSQ", dim, count, 1 << 20, 1 << 20, 1, 0)
    # quantizer: QT_fp16, no range statistics, no trained values; then the number of bytes that follow
    return index + struct.pack("<iifQQQ", 4, 0, 0.0, dim, size, 0) + struct.pack("<Q", size * count)


class _Checksum:
    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._crc32, self._size_bytes = file, 0, 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._crc32 = zlib.crc32(content, self._crc32)
        self._size_bytes += len(content)

    def entry(self, name: str) -> FileEntry:
        return FileEntry(name, self._size_bytes, self._crc32)

"""Sealed segments: immutable, memory-mapped files of float16 rows in ascending order of id.

The rows file is a faiss scalar-quantizer index (so that faiss maps it as it is); reading and writing it takes
numpy alone. It knows nothing of which rows are dead.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from searchkit.durable import replace_file
from searchkit.errors import StoreCorrupt
from searchkit.stores.faiss.manifest import DAMAGE_HINT, FileEntry, SegmentEntry
from searchkit.types import FloatArray, IdArray

__all__ = [
    "HALF_SCALE",
    "Checksum",
    "HalfArray",
    "Segment",
    "Stopped",
    "check_size",
    "read_mask",
    "rows_header",
    "unless_stopped",
    "widen",
    "write_mask",
    "write_segment",
]

HalfArray = npt.NDArray[np.float16]
BoolArray = npt.NDArray[np.bool_]
T = TypeVar("T")


class Stopped(Exception):
    """The store is being closed."""


def unless_stopped(pieces: Iterable[T], stop: threading.Event) -> Iterator[T]:
    """The same pieces, one by one.

    Raises:
        Stopped: ``stop`` was set; whatever file is being written is given up.
    """
    for piece in pieces:
        if stop.is_set():
            raise Stopped
        yield piece


HALF_SCALE = np.float32(2.0**112)
"""What ``widen`` leaves out."""

_CHUNK_ROWS = 1024
_HALF_MASK = np.int32(-0x70002000)  # 0x8fffe000: what a float16 fills of a float32


class Segment:
    """One sealed segment: ``ids`` (N,) int64 ascending, ``rows`` (N, dim) float16, both mapped.

    Raises:
        StoreCorrupt: a file has the wrong size.
        FileNotFoundError: a file is missing (or was merged away a moment ago).
    """

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
        self._derived: dict[str, Any] = {}
        self._mutex = threading.RLock()

    def has(self, suffix: str) -> bool:
        """Whether the manifest names a derived file of that kind."""
        return any(file.name.endswith(suffix) for file in self.entry.derived)

    def opened(self, suffix: str, name: str, open_file: Callable[[Path], T]) -> T | None:
        """A file of the segment, opened once by ``open_file``; None when it cannot be (rows always can)."""
        with self._mutex:
            if suffix not in self._derived:
                try:
                    self._derived[suffix] = open_file(self.folder / name)
                # a file that is damaged, or gone since another process merged, costs speed and not answers
                except (OSError, RuntimeError):
                    self._derived[suffix] = None
            found: T | None = self._derived[suffix]
            return found


def write_segment(
    folder: Path, name: str, dim: int, count: int, blocks: Iterable[tuple[IdArray, HalfArray]]
) -> SegmentEntry:
    """Write a segment of ``count`` rows durably: ids, ascending over all blocks, and their rows.

    Raises:
        DiskFull: the device is full; nothing of the segment counts.
    """
    with replace_file(folder / f"{name}.ids") as ids_file, replace_file(folder / f"{name}.rows") as rows_file:
        written_ids, written = Checksum(ids_file), Checksum(rows_file)
        written.write(rows_header(dim, count))
        for ids, block in blocks:
            written_ids.write(ids.astype("<i8").tobytes())
            for start in range(0, len(block), _CHUNK_ROWS):
                written.write(np.ascontiguousarray(block[start : start + _CHUNK_ROWS], dtype="<f2").tobytes())
        rows, listed = written.entry(f"{name}.rows"), written_ids.entry(f"{name}.ids")
    return SegmentEntry(name=name, count=count, rows=rows, ids=listed)


def write_mask(folder: Path, name: str, mask: BoolArray) -> FileEntry:
    """Write a mask of dead rows durably, one bit a row.

    Raises:
        DiskFull: the device is full.
    """
    with replace_file(folder / name) as file:
        written = Checksum(file)
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
        raise StoreCorrupt(f"{folder / entry.name} is damaged: the checksum does not match", hint=DAMAGE_HINT)
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
            f"{folder / entry.name} is damaged: it has {actual} bytes, expected {expected_bytes}",
            hint=DAMAGE_HINT,
        )


def rows_header(dim: int, count: int) -> bytes:
    """The head of a faiss IndexScalarQuantizer file (float16, inner product) before its rows."""
    size = 2 * dim
    index = struct.pack("<4siqqqBi", b"IxSQ", dim, count, 1 << 20, 1 << 20, 1, 0)
    # quantizer: QT_fp16, no range statistics, no trained values; then the number of bytes that follow
    return index + struct.pack("<iifQQQ", 4, 0, 0.0, dim, size, 0) + struct.pack("<Q", size * count)


def widen(bits: npt.NDArray[np.int16], wide: npt.NDArray[np.int32]) -> FloatArray:
    """Float16 rows, seen as int16, as float32 times 2**-112, in the memory of ``wide``; exact.

    Five times faster than numpy's own conversion: the bits shift into place, only the exponent's bias is off.
    """
    np.copyto(wide, bits)
    np.left_shift(wide, 13, out=wide)
    np.bitwise_and(wide, _HALF_MASK, out=wide)
    return wide.view(np.float32)


class Checksum:
    """Writes to a file and sums up what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._crc32, self._size_bytes = file, 0, 0

    def write(self, content: bytes | memoryview) -> None:
        """Write bytes."""
        self._file.write(content)
        self._crc32 = zlib.crc32(content, self._crc32)
        self._size_bytes += len(content)

    def entry(self, name: str) -> FileEntry:
        """What the manifest says of the file."""
        return FileEntry(name, self._size_bytes, self._crc32)

"""The write-ahead log: rows and deletions since the last sealed segment, appended, each record checksummed.

A record is a 32-byte header, then int64 ids, then (for an upsert) float16 rows. A record that a crash tore
ends the log; a damaged record that was known to be on disk is corruption and said so.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchkit.durable import disk_full_guard
from searchkit.errors import StoreCorrupt
from searchkit.stores.faiss.manifest import DAMAGE_HINT
from searchkit.types import IdArray

__all__ = ["LOG_HEADER", "Record", "append_bytes", "encode_record", "read_records", "sync"]

LOG_HEADER = b"searchkit log 1\n"

# magic, has rows, count, bytes of this log known to be durable, crc of the body, crc of this header
_HEADER = struct.Struct("<4sIIIQII")
_MAGIC = b"SKLR"
HalfArray = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Record:
    """One write: an upsert with its rows (N, dim) float16, or a deletion with none; ``end`` is an offset."""

    ids: IdArray
    rows: HalfArray | None
    end: int


def encode_record(ids: IdArray, rows: HalfArray | None, durable_bytes: int) -> bytes:
    """A record as bytes, to be appended in one write."""
    body = ids.astype("<i8").tobytes() + (b"" if rows is None else rows.astype("<f2").tobytes())
    head = _HEADER.pack(_MAGIC, rows is not None, len(ids), 0, durable_bytes, zlib.crc32(body), 0)
    return head[:-4] + struct.pack("<I", zlib.crc32(head[:-4])) + body


def append_bytes(fd: int, path: Path, offset: int, content: bytes) -> int:
    """Write at ``offset``, the log's end, and return the new end; on a full disk the log stays as it was.

    Raises:
        DiskFull: the device is full.
    """
    with disk_full_guard(path):
        try:
            done = 0
            while done < len(content):
                done += os.pwrite(fd, content[done:], offset + done)
        except OSError:
            os.ftruncate(fd, offset)
            raise
    return offset + len(content)


def sync(fd: int, path: Path) -> None:
    """Make what was appended survive a power cut.

    Raises:
        DiskFull: the device is full.
    """
    with disk_full_guard(path):
        getattr(os, "fdatasync", os.fsync)(fd)


def read_records(fd: int, path: Path, offset: int, dim: int) -> Iterator[Record]:
    """Whole records from ``offset`` on; ends at the first that is incomplete.

    Raises:
        StoreCorrupt: a record that had reached the disk is damaged.
    """
    size = os.fstat(fd).st_size
    content = os.pread(fd, max(0, size - offset), offset)
    base, place = offset, 0
    while (record := _parse(content, place, base, dim)) is not None:
        place = record.end - base
        yield record
    if _damaged(content, place, base, dim):
        raise StoreCorrupt(
            f"{path}: the record at byte {base + place} is damaged",
            hint=DAMAGE_HINT,
        )


def _parse(content: bytes, place: int, base: int, dim: int) -> Record | None:
    header = _header(content, place)
    if header is None:
        return None
    has_rows, count, _, crc = header
    start = place + _HEADER.size
    end = start + _body_bytes(has_rows, count, dim)
    if end > len(content) or zlib.crc32(memoryview(content)[start:end]) != crc:
        return None
    ids = np.frombuffer(content, dtype="<i8", count=count, offset=start).astype(np.int64)
    rows = None
    if has_rows:
        flat = np.frombuffer(content, dtype="<f2", count=count * dim, offset=start + 8 * count)
        rows = flat.reshape(count, dim)
    return Record(ids, rows, base + end)


def _header(content: bytes, place: int) -> tuple[bool, int, int, int] | None:
    head = content[place : place + _HEADER.size]
    if len(head) < _HEADER.size:
        return None
    magic, has_rows, count, _, durable_bytes, crc, head_crc = _HEADER.unpack(head)
    if magic != _MAGIC or zlib.crc32(head[:-4]) != head_crc:
        return None
    return bool(has_rows), count, durable_bytes, crc


def _body_bytes(has_rows: bool, count: int, dim: int) -> int:
    return count * (8 + (2 * dim if has_rows else 0))


def _damaged(content: bytes, place: int, base: int, dim: int) -> bool:
    """Whether a later record says that the bytes at ``place`` had reached the disk."""
    later = content.find(_MAGIC, place + 1)
    while later >= 0:
        header = _header(content, later)
        if header is not None and header[2] > base + place and _parse(content, later, base, dim):
            return True
        later = content.find(_MAGIC, later + 1)
    return False

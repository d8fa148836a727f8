"""One-bit codes of a segment's rows, scanned by FAISS to find candidates; derived, and rebuilt when lost.

RaBitQ (Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
Approximate Nearest Neighbor Search", SIGMOD 2024) after a randomised Hadamard rotation, which spreads a row's
variance evenly over its bits. It knows nothing of exact scores.
"""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.durable import replace_file
from searchkit.stores.faiss.manifest import FileEntry
from searchkit.stores.faiss.segment import HALF_SCALE, Checksum, HalfArray, Segment, unless_stopped, widen
from searchkit.types import FloatArray

__all__ = ["CODES_SUFFIX", "Codes", "build_codes", "codes_of", "rotation"]

CODES_SUFFIX = ".codes"
ROTATION_SEED = 20240521

_QUERY_BITS = (
    2  # more bits cost time and, with so many candidates rescored, find no more; 0 (none) is slowest
)
_BUILD_ROWS = 1024
_TRAIN_ROWS = 8192
_ROTATIONS: dict[int, Any] = {}
_MUTEX = threading.Lock()


class Codes:
    """A segment's codes, mapped: ``search`` gives candidates with estimated inner products."""

    def __init__(self, path: Path, dim: int) -> None:
        import faiss

        self._rotation = rotation(dim)
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)

    def search(
        self, units: FloatArray, count: int, allowed: npt.NDArray[np.uint8] | None
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Positions and estimated scores (Q, count) of the best rows; -1 where there are fewer.

        Args:
            units: (Q, dim) float32 unit queries.
            count: how many candidates a query gets.
            allowed: one bit a row, least significant first; None allows all.
        """
        import faiss

        parameters = faiss.RaBitQSearchParameters()
        parameters.qb = _QUERY_BITS
        # a fifth faster, and no worse once candidates are rescored
        parameters.centered = True
        if allowed is not None:
            parameters.sel = faiss.IDSelectorBitmap(allowed)  # type: ignore[call-arg, arg-type]
        scores, positions = self._index.search(self._rotation.apply_py(units), count, params=parameters)
        return positions, scores


def rotation(dim: int) -> Any:
    """The rotation that all codes of that dimension share."""
    import faiss

    with _MUTEX:
        if dim not in _ROTATIONS:
            _ROTATIONS[dim] = faiss.HadamardRotation(dim, ROTATION_SEED)
        return _ROTATIONS[dim]


def build_codes(segment: Segment, stop: threading.Event) -> FileEntry:
    """Write a segment's codes durably, block by block.

    Raises:
        DiskFull: the device is full.
        Stopped: ``stop`` was set.
    """
    import faiss

    rotate, count = rotation(segment.dim), len(segment.rows)
    index: Any = faiss.IndexRaBitQ(rotate.d_out, faiss.METRIC_INNER_PRODUCT)
    # All that it learns is the mean, and the mean of one row is that row.
    index.train(rotate.apply_py(_mean(segment)))
    name = segment.entry.name + CODES_SUFFIX
    with replace_file(segment.folder / name) as file:
        written = Checksum(file)
        head, tail = _frame(index, count)
        written.write(head)
        for start in unless_stopped(range(0, count, _BUILD_ROWS), stop):
            index.add(rotate.apply_py(_wide(segment.rows[start : start + _BUILD_ROWS])))
            written.write(faiss.vector_to_array(index.codes).data)
            index.reset()
        written.write(tail)
        return written.entry(name)


def _mean(segment: Segment) -> FloatArray:
    """The mean (1, dim) of rows from all over a segment."""
    total, step = np.zeros(segment.dim), max(1, len(segment.rows) // _TRAIN_ROWS)
    rows = segment.rows[::step][:_TRAIN_ROWS]
    for start in range(0, len(rows), _BUILD_ROWS):
        total += _wide(rows[start : start + _BUILD_ROWS]).sum(axis=0, dtype=np.float64)
    return (total / len(rows)).astype(np.float32)[None]


def _frame(index: Any, count: int) -> tuple[bytes, bytes]:
    """What faiss writes before and after the codes of ``count`` rows, given an index without any."""
    import faiss

    empty = faiss.serialize_index(index).tobytes()
    index.add(np.zeros((1, index.d), dtype=np.float32))
    codes = faiss.vector_to_array(index.codes).tobytes()
    single = faiss.serialize_index(index).tobytes()
    index.reset()
    # The length of the codes stands before them, the number of rows after the kind and the dimension.
    place = single.index(struct.pack("<Q", len(codes)) + codes)
    head = single[:8] + struct.pack("<q", count) + single[16:place]
    return head + struct.pack("<Q", count * len(codes)), empty[place + 8 :]


def codes_of(segment: Segment) -> Codes | None:
    """A segment's codes, opened once; None when it has none."""
    if not segment.has(CODES_SUFFIX):
        return None
    name = segment.entry.name + CODES_SUFFIX
    return segment.opened(CODES_SUFFIX, name, lambda path: Codes(path, segment.dim))


def _wide(rows: HalfArray) -> FloatArray:
    wide = np.empty(rows.shape, dtype=np.int32)
    return widen(rows.view(np.int16), wide) * HALF_SCALE

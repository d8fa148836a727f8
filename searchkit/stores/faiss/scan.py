"""Scans float16 rows for the best, fast and nearly right; what it leaves is settled by exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.stores.faiss.segment import HALF_SCALE, Segment, widen
from searchkit.stores.faiss.snapshot import Part
from searchkit.types import FloatArray

__all__ = ["SLACK", "Candidates", "Positions", "flat_index", "floor_of", "scan_flat", "scan_rows"]

Positions = npt.NDArray[np.intp]

SLACK = 1e-5
"""How far a float32 sum of products of unit vectors may be off, twice over."""

_BLOCK_ROWS = 256  # a block of int32 stays in the cache between the passes over it
_SPARE = 16


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows of one part that may be among the best for one query; scores are those of the unit query."""

    part: Part
    positions: Positions
    scores: FloatArray


def floor_of(scores: FloatArray, k: int) -> float:
    """A score that each of the true k best reaches, given scores that are off by less than SLACK."""
    if k >= len(scores):
        return -np.inf
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) - SLACK


def scan_rows(part: Part, units: FloatArray, k: int, positions: Positions | None) -> list[Candidates]:
    """Candidates for each unit query of (Q, dim), by numpy; ``positions`` are the rows allowed."""
    count = len(part.ids) if positions is None else len(positions)
    scores = np.empty((count, len(units)), dtype=np.float32)
    bits = part.rows.view(np.int16)
    block = np.empty((min(count, _BLOCK_ROWS), units.shape[1]), dtype=np.int32)
    scaled = np.ascontiguousarray(units.T) * HALF_SCALE
    for start in range(0, count, _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, count)
        chosen = bits[start:end] if positions is None else bits[positions[start:end]]
        np.matmul(widen(chosen, block[: end - start]), scaled, out=scores[start:end])
    return [_best(part, scores[:, query], k, positions) for query in range(len(units))]


def scan_flat(
    part: Part, units: FloatArray, k: int, allowed: npt.NDArray[np.uint8] | None
) -> list[Candidates] | None:
    """The same by FAISS, ``allowed`` having one bit a row; None when the rows cannot be opened for it."""
    import faiss

    segment = part.segment
    index = None if segment is None else flat_index(segment)
    if index is None:
        return None
    parameters = faiss.SearchParameters()
    if allowed is not None:
        parameters.sel = faiss.IDSelectorBitmap(allowed)  # type: ignore[call-arg, arg-type]
    found = []
    for unit in units:
        count = k + _SPARE
        while True:
            count = min(count, len(part.ids))
            scores, positions = index.search(unit[None], count, params=parameters)
            scores, positions = scores[0][positions[0] >= 0], positions[0][positions[0] >= 0]
            # rows as good as the last one may have been left out: ask for more
            if len(scores) < count or count == len(part.ids) or scores[-1] < floor_of(scores, k):
                break
            count *= 4
        found.append(_best(part, scores, k, positions))
    return found


def _best(part: Part, scores: FloatArray, k: int, positions: Positions | None) -> Candidates:
    chosen = np.flatnonzero(scores >= floor_of(scores, k))
    return Candidates(part, chosen if positions is None else positions[chosen], scores[chosen])


def flat_index(segment: Segment) -> Any:
    """A segment's rows as a faiss index, mapped, opened once; None when that fails."""
    import faiss

    return segment.opened(
        ".rows", segment.entry.rows.name, lambda path: faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    )

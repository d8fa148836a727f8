"""Exact top-k over float16 rows: a fast scan that is nearly right, then exact scores for the finalists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchkit.stores.base import inner_products, rank
from searchkit.stores.faiss.snapshot import Part, Snapshot
from searchkit.types import FloatArray, Hit, IdArray

__all__ = ["Candidates", "search_snapshot"]

Positions = npt.NDArray[np.intp]

SLACK = 1e-5
"""How far a float32 sum of products of unit vectors may be off, twice over."""

_BLOCK_ROWS = 256  # a block of int32 stays in the cache between the passes over it
_HALF_MASK = np.int32(-0x70002000)  # 0x8fffe000: sign, exponent and fraction of a float16 widened in place
_HALF_SCALE = np.float32(2.0**112)  # what the narrow exponent's bias is short of


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows of one part that may be among the best for one query; scores are those of the unit query."""

    positions: Positions
    scores: FloatArray


def search_snapshot(
    snapshot: Snapshot, queries: FloatArray, k: int, among: IdArray | None
) -> list[list[Hit]]:
    """The k best rows for each query of (Q, dim): best first, equal scores by ascending id."""
    units = queries / np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True).astype(np.float32)
    found: list[list[tuple[Part, Candidates]]] = [[] for _ in queries]
    for part in snapshot.parts:
        positions = _allowed(part, among)
        if len(part.ids) if positions is None else len(positions):
            for of_query, candidates in zip(found, _scan(part, units, k, positions), strict=True):
                of_query.append((part, candidates))
    return [_finish(of_query, query, k) for of_query, query in zip(found, queries, strict=True)]


def _allowed(part: Part, among: IdArray | None) -> Positions | None:
    # None stands for all rows
    if among is not None:
        found = part.find(among)
        return np.sort(found[found >= 0])
    return None if part.alive is None else np.flatnonzero(part.alive)


def _scan(part: Part, units: FloatArray, k: int, positions: Positions | None) -> list[Candidates]:
    count = len(part.ids) if positions is None else len(positions)
    scores = np.empty((count, len(units)), dtype=np.float32)
    bits = part.rows.view(np.int16)
    block = np.empty((min(count, _BLOCK_ROWS), units.shape[1]), dtype=np.int32)
    scaled = np.ascontiguousarray(units.T) * _HALF_SCALE
    for start in range(0, count, _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, count)
        wide = block[: end - start]
        # five times faster than numpy's own conversion, and exact: the bits shift into place
        np.copyto(wide, bits[start:end] if positions is None else bits[positions[start:end]])
        np.left_shift(wide, 13, out=wide)
        np.bitwise_and(wide, _HALF_MASK, out=wide)
        np.matmul(wide.view(np.float32), scaled, out=scores[start:end])
    return [_best(scores[:, query], k, positions) for query in range(len(units))]


def _best(scores: FloatArray, k: int, positions: Positions | None) -> Candidates:
    chosen = np.flatnonzero(scores >= _floor(scores, k))
    return Candidates(chosen if positions is None else positions[chosen], scores[chosen])


def _floor(scores: FloatArray, k: int) -> float:
    """A score that each of the true k best reaches."""
    if k >= len(scores):
        return -np.inf
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) - SLACK


def _finish(found: Sequence[tuple[Part, Candidates]], query: FloatArray, k: int) -> list[Hit]:
    if not found:
        return []
    floor = _floor(np.concatenate([candidates.scores for _, candidates in found]), k)
    ids, exact = [], []
    for part, candidates in found:
        chosen = candidates.positions[candidates.scores >= floor]
        ids.append(part.ids[chosen])
        exact.append(inner_products(part.rows[chosen], query))
    return rank(np.concatenate(ids), np.concatenate(exact), k)

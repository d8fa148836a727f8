"""Top-k over a snapshot: exact where rows are few, one-bit candidates rescored where they are many.

Every score that leaves here is the exact inner product with the stored float16 row.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.stores.base import inner_products, rank
from searchkit.stores.faiss.codes import Codes, codes_of
from searchkit.stores.faiss.gpu import GpuRows, gpu_is_there, gpu_rows_of
from searchkit.stores.faiss.graph import Graph, graph_of
from searchkit.stores.faiss.scan import Candidates, Positions, floor_of, scan_flat, scan_rows
from searchkit.stores.faiss.snapshot import Part, Snapshot
from searchkit.stores.faiss.tuning import Tuning
from searchkit.types import FloatArray, Hit, IdArray

__all__ = ["search_snapshot"]

CandidateIndex: TypeAlias = Codes | Graph | GpuRows

_RESCORED_PER_HIT = 4
_QUERIES_AT_ONCE = 64
_FLAT_QUERIES = 4  # from here on, widening rows once for all queries beats FAISS, which does it for each
_FLAT_ROWS = 128
_THREADED_ROWS = 100_000  # a scan of fewer is over before threads have begun
_IMPORT_ELEMENTS = 2e8  # scanned by numpy in the time that importing faiss takes


def search_snapshot(
    snapshot: Snapshot, queries: FloatArray, k: int, among: IdArray | None, tuning: Tuning
) -> list[list[Hit]]:
    """The k best rows for each query of (Q, dim): best first, equal scores by ascending id."""
    if not len(queries):
        return []
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    units = (queries / lengths).astype(np.float32)
    used = tuning if _faiss_pays(snapshot, len(queries)) else None
    views = [view for part in snapshot.parts if (view := _View(part, among)).count]
    answers = []
    for start in range(0, len(units), _QUERIES_AT_ONCE):
        chosen = slice(start, start + _QUERIES_AT_ONCE)
        for query, found in zip(queries[chosen], _candidates(views, units[chosen], k, used), strict=True):
            answers.append(_finish(found, query, k))
    return answers


class _View:
    """The rows of a part that a search may return."""

    def __init__(self, part: Part, among: IdArray | None) -> None:
        self.part = part
        self._mask = None if among is None else part.mask_of(among)
        self.count = part.live_count if self._mask is None else int(np.count_nonzero(self._mask))

    @property
    def positions(self) -> Positions | None:
        """Which rows; None for all."""
        mask = self.part.alive if self._mask is None else self._mask
        return None if mask is None else np.flatnonzero(mask)

    @property
    def bits(self) -> npt.NDArray[np.uint8] | None:
        """Which rows, one bit each; None for all."""
        if self._mask is None:
            return self.part.alive_bits
        return np.packbits(self._mask, bitorder="little")


def _candidates(
    views: Sequence[_View], units: FloatArray, k: int, tuning: Tuning | None
) -> list[list[Candidates]]:
    # without FAISS there is nothing to tune
    found: list[list[Candidates]] = [[] for _ in units]
    indexed: list[tuple[_View, CandidateIndex]] = []
    for view in views:
        index = _index(view, k, tuning) if tuning else None
        if index is not None:
            indexed.append((view, index))
            continue
        exact = _scan_flat(view, units, k) if tuning else None
        if exact is None:
            exact = scan_rows(view.part, units, k, view.positions)
        for of_query, candidates in zip(found, exact, strict=True):
            of_query.append(candidates)
    if indexed and tuning:
        for of_query, more in zip(found, _rescored(indexed, units, k, tuning), strict=True):
            of_query.extend(more)
    return found


def _index(view: _View, k: int, tuning: Tuning) -> CandidateIndex | None:
    segment = view.part.segment
    # with so many hits wanted, nearly all rows would be candidates
    if segment is None or view.count <= max(tuning.exact_allowed, 2 * _RESCORED_PER_HIT * k):
        return None
    everything = view.count == len(view.part.ids)
    if tuning.gpu and everything and gpu_is_there() and (rows := gpu_rows_of(segment)) is not None:
        return rows
    if view.count >= tuning.graph_share * len(view.part.ids) and (graph := graph_of(segment)) is not None:
        return graph
    return codes_of(segment)


def _scan_flat(view: _View, units: FloatArray, k: int) -> list[Candidates] | None:
    if len(units) >= _FLAT_QUERIES or view.count < max(_FLAT_ROWS, len(view.part.ids) // 16):
        return None
    return scan_flat(view.part, units, k, view.bits)


def _rescored(
    indexed: Sequence[tuple[_View, CandidateIndex]], units: FloatArray, k: int, tuning: Tuning
) -> list[list[Candidates]]:
    """Of all indexed parts together, the candidates with the best estimates, with true scores."""
    wanted = max(tuning.rescored, _RESCORED_PER_HIT * k)

    def estimate(view: _View, index: CandidateIndex) -> tuple[npt.NDArray[np.int64], FloatArray]:
        return index.search(units, min(wanted, view.count), view.bits)

    # many queries share the cores inside FAISS; one query shares them between the parts
    many = len(units) >= _FLAT_QUERIES or sum(view.count for view, _ in indexed) < _THREADED_ROWS
    pool = None if many or len(indexed) == 1 else _pool()
    over = map if pool is None else pool.map
    estimates = list(over(estimate, *zip(*indexed, strict=True)))
    answers = []
    for query, unit in enumerate(units):
        floor = -np.inf
        scores = np.concatenate([of_part[query] for _, of_part in estimates])
        if len(scores) > wanted:
            floor = float(np.partition(scores, len(scores) - wanted)[len(scores) - wanted])
        found = []
        for (view, _), (positions, of_part) in zip(indexed, estimates, strict=True):
            chosen = positions[query][(of_part[query] >= floor) & (positions[query] >= 0)]
            if len(chosen):
                found.extend(scan_rows(view.part, unit[None], k, np.sort(chosen)))
        answers.append(found)
    return answers


def _finish(found: Sequence[Candidates], query: FloatArray, k: int) -> list[Hit]:
    if not found:
        return []
    floor = floor_of(np.concatenate([candidates.scores for candidates in found]), k)
    ids, exact = [], []
    for candidates in found:
        chosen = candidates.positions[candidates.scores >= floor]
        ids.append(candidates.part.ids[chosen])
        exact.append(inner_products(candidates.part.rows[chosen], query))
    return rank(np.concatenate(ids), np.concatenate(exact), k)


@cache
def _pool() -> ThreadPoolExecutor | None:
    """Threads for the parts of one query; None where one core is all there is, or all that is wanted."""
    import faiss

    threads = faiss.omp_get_max_threads()
    return ThreadPoolExecutor(threads, thread_name_prefix="searchkit-scan") if threads > 1 else None


_spent_elements = 0.0
_spent_mutex = threading.Lock()


def _faiss_pays(snapshot: Snapshot, queries: int) -> bool:
    """Whether to use FAISS: once it is loaded, or once doing without has cost what importing it does."""
    global _spent_elements
    if "faiss" in sys.modules:
        return True
    rows = sum(len(part.ids) for part in snapshot.segments)
    with _spent_mutex:
        _spent_elements += rows * snapshot.tail.rows.shape[1] * (1 + queries / 16)
        return bool(_spent_elements > _IMPORT_ELEMENTS)

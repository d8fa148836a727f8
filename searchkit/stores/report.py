"""What a store says of itself when it is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchkit.stores.base import NORM_TOLERANCE
from searchkit.types import FloatArray, IdArray, VectorStore

__all__ = ["StoreReport", "bad_rows", "in_chunks"]


@dataclass(frozen=True, slots=True)
class StoreReport:
    """The size of a store, and what is wrong with it.

    Attributes:
        rows: how many vectors it has.
        segments: how many pieces they lie in; 0 when that means nothing.
        coded: rows that have one-bit codes, so that scans of them are short.
        graphed: rows that a graph finds.
        size_bytes: what its files take; 0 when it has none of its own.
        problems: one sentence each, naming the file; empty when all is well.
    """

    rows: int
    segments: int = 0
    coded: int = 0
    graphed: int = 0
    size_bytes: int = 0
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


def bad_rows(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Places of rows (N, dim) that are not finite or not of unit length."""
    wide = rows.astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    # written so that NaN counts as bad
    return np.flatnonzero(~(np.abs(lengths - 1.0) <= 2 * NORM_TOLERANCE))


def in_chunks(store: VectorStore, size: int = 2048) -> Iterator[tuple[IdArray, FloatArray]]:
    """All rows of a store, by ascending id: ids (N,) and rows (N, dim) with N at most ``size``."""
    ids = store.ids()
    for start in range(0, len(ids), size):
        chunk = ids[start : start + size]
        yield chunk, store.fetch(chunk)

"""Checks and arithmetic that all stores share: they refuse the same input and agree in every score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from searchkit.errors import DimensionMismatch, InvalidVector, UsageError
from searchkit.types import FloatArray, Hit, IdArray

__all__ = [
    "NORM_TOLERANCE",
    "as_among",
    "as_ids",
    "as_queries",
    "as_rows",
    "inner_products",
    "last_of_each",
    "rank",
]

NORM_TOLERANCE = 1e-3
"""How far from 1 the length of a row may be: float16 storage alone moves it by up to a few 1e-4."""


def as_ids(ids: Sequence[int] | npt.NDArray[np.integer]) -> IdArray:
    """Ids as (N,) int64.

    Raises:
        UsageError: an id is not a whole number, or is negative.
    """
    array = np.asarray(ids)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UsageError(f"ids must be whole numbers of shape (N,), got {array.dtype} {array.shape}")
    checked = array.astype(np.int64)
    if int(checked.min()) < 0:
        raise UsageError(f"ids must not be negative, got {int(checked.min())}")
    return checked


def as_rows(vectors: npt.ArrayLike, dim: int, count: int) -> FloatArray:
    """Vectors as (count, dim) float32, finite and of unit length.

    Raises:
        DimensionMismatch: their length is not ``dim``.
        InvalidVector: a row is not finite, or not of unit length.
        UsageError: there are not ``count`` of them.
    """
    rows = _matrix(vectors, dim)
    if rows.shape[0] != count:
        raise UsageError(f"got {count} ids but {rows.shape[0]} vectors")
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    # written so that NaN counts as bad
    bad = np.flatnonzero(~(np.abs(lengths - 1.0) <= NORM_TOLERANCE))
    if bad.size:
        row = int(bad[0])
        what = f"length {lengths[row]:.6g}" if np.isfinite(rows[row]).all() else "values that are not finite"
        raise InvalidVector(
            f"row {row} of {count} has {what}, expected unit length", hint="normalise the rows"
        )
    return rows


def as_queries(queries: npt.ArrayLike, dim: int, k: int) -> FloatArray:
    """Queries as (Q, dim) float32, finite and not zero.

    Raises:
        DimensionMismatch: their length is not ``dim``.
        InvalidVector: a query is zero or not finite.
        UsageError: ``k`` is below 1.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, got {k}")
    rows = _matrix(queries, dim)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        raise InvalidVector(f"query {int(bad[0])} is zero or not finite")
    return rows


def as_among(among: Sequence[int] | IdArray | None) -> IdArray | None:
    """Allowed ids, ascending and without repeats; None stays None."""
    if among is None:
        return None
    ids = as_ids(among)
    # what comes from a catalog is in order already
    return ids if bool((ids[1:] > ids[:-1]).all()) else np.unique(ids)


def last_of_each(ids: IdArray) -> npt.NDArray[np.intp]:
    """Positions of the last occurrence of each id, in ascending order of id."""
    first: npt.NDArray[np.intp] = np.unique(ids[::-1], return_index=True)[1]
    newest: npt.NDArray[np.intp] = ids.shape[0] - 1 - first
    return newest


def inner_products(rows: npt.NDArray[np.floating], query: FloatArray) -> FloatArray:
    """Inner products (N,) of rows (N, dim) with one query (dim,), summed in float64, rounded to float32.

    A score that does not depend on a row's place in a batch is what makes equal rows tie in every store.
    """
    scores: FloatArray = np.einsum(
        "nd,d->n", rows.astype(np.float64), query.astype(np.float64), optimize=False
    ).astype(np.float32)
    return scores


def rank(ids: IdArray, scores: FloatArray, k: int) -> list[Hit]:
    """The best k as hits: highest score first, equal scores by ascending id."""
    order = np.lexsort((ids, -scores))[:k]
    return [Hit(int(ids[row]), float(scores[row])) for row in order]


def _matrix(vectors: npt.ArrayLike, dim: int) -> FloatArray:
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise DimensionMismatch(f"vectors must have shape (N, {dim}), got {rows.shape}")
    return rows

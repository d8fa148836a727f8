"""Vectors to places on a plane, near ones near each other; it knows no library and no file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from searchkit.types import FloatArray, IdArray

__all__ = ["lay_out", "principal_axes", "project", "scaled"]


def principal_axes(rows: FloatArray, dims: int) -> FloatArray:
    """The directions of greatest variance of centred rows (N, dim), as columns (dim, dims)."""
    covariance = rows.T.astype(np.float64) @ rows.astype(np.float64) / max(1, len(rows))
    _, vectors = np.linalg.eigh(covariance)
    axes: FloatArray = vectors[:, ::-1][:, :dims].astype(np.float32)
    # Signs are arbitrary; the largest component is made positive, so that a map does not flip between runs.
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.sign(axes[largest, np.arange(axes.shape[1])])
    return axes


def project(rows: FloatArray, groups: IdArray, dims: int, *, sample_rows: int = 20_000) -> FloatArray:
    """Principal components of rows (N, dim), each group centred on its own mean: (N, dims).

    Groups are modalities: without centring, the gap between them would be all that a map shows.
    """
    centred = np.array(rows, dtype=np.float32)
    for group in np.unique(groups):
        chosen = groups == group
        centred[chosen] -= centred[chosen].mean(axis=0)
    step = max(1, len(rows) // sample_rows)
    dims_held = min(dims, rows.shape[1])
    placed = centred @ principal_axes(centred[::step], dims_held)
    return np.pad(placed, ((0, 0), (0, dims - dims_held)))


def scaled(places: FloatArray) -> npt.NDArray[np.int16]:
    """Places (N, 2) as int16 that fill the range, whatever lies far out held to its edge."""
    if not len(places):
        return np.zeros((0, 2), np.int16)
    low, high = np.quantile(places, (0.002, 0.998), axis=0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-9)
    points: npt.NDArray[np.int16] = (np.clip((places - centre) / half, -1.05, 1.05) * 31_000).astype(np.int16)
    return points


def lay_out(
    rows: FloatArray, groups: IdArray, *, progress: Callable[[float], None] = lambda share: None
) -> FloatArray:
    """Places (N, 2) of unit rows (N, dim)."""
    places = project(rows, groups, 2)
    progress(1.0)
    return places

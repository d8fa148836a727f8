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
    """Places (N, 2) of unit rows (N, dim): neighbours attract, all else repels.

    After UMAP (McInnes, Healy and Melville, arXiv 1802.03426): its neighbour weights and its curve, from
    principal components as the start; all points move at once, a step an epoch.

    Args:
        rows: (N, dim) vectors.
        groups: (N,) what each is; see ``project``.
        progress: hears the share that is done, 0 to 1; may raise to stop.
    """
    count = len(rows)
    if count <= _NEIGHBOURS + 1:
        progress(1.0)
        return project(rows, groups, 2)
    reduced = project(rows, groups, _REDUCED_DIMS)
    progress(0.1)
    heads, tails, weights = _neighbour_edges(reduced)
    progress(0.3)
    start = reduced[:, :2] / max(float(np.abs(reduced[:, :2]).max()), 1e-9)
    generator = np.random.default_rng(0)
    places = (10 * start + generator.normal(0, 0.05, (count, 2))).astype(np.float32)
    epochs = 300 if count < 10_000 else 120
    for epoch in range(epochs):
        rate = 1.0 - epoch / epochs
        # An edge of weight w takes part in a share w of the epochs.
        active = generator.random(len(weights)) < weights
        head, tail = heads[active], tails[active]
        _move(places, head, tail, rate, attract=True)
        for _ in range(_REPELLED):
            _move(places, head, generator.integers(0, count, len(head)), rate, attract=False)
        progress(0.3 + 0.7 * (epoch + 1) / epochs)
    return places


_NEIGHBOURS = 12
_REDUCED_DIMS = 48
_REPELLED = 4
# The curve 1 / (1 + a d^2b) for a least distance of 0.15 between neighbours.
_A, _B = 1.44, 0.92
_MOST_STEP = 4.0


def _neighbour_edges(rows: FloatArray) -> tuple[IdArray, IdArray, FloatArray]:
    """Heads, tails and weights (E,) of each row's nearest neighbours, both ways."""
    import faiss

    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    kind = "Flat" if len(unit) <= 30_000 else "HNSW16"
    index = faiss.index_factory(unit.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.add(unit)
    scores, found = index.search(unit, _NEIGHBOURS + 1)
    heads = np.repeat(np.arange(len(unit)), _NEIGHBOURS + 1)
    tails, distances = found.ravel(), np.sqrt(np.maximum(0.0, 2 - 2 * scores))
    nearest, scale = distances[:, 1:2], distances[:, 1:].mean(axis=1, keepdims=True) + 1e-6
    weights = np.exp(-np.maximum(0.0, distances - nearest) / (0.5 * scale)).ravel()
    real = (tails >= 0) & (tails != heads)
    heads, tails, weights = heads[real], tails[real], weights[real].astype(np.float32)
    return np.concatenate([heads, tails]), np.concatenate([tails, heads]), np.tile(weights, 2)


def _move(places: FloatArray, head: IdArray, tail: IdArray, rate: float, *, attract: bool) -> None:
    """One step of the heads towards their tails, or away from them."""
    apart = places[head] - places[tail]
    squared = np.maximum((apart**2).sum(axis=1), 1e-6)
    curve = _A * squared**_B
    towards = -2 * _B * curve / squared / (1 + curve)
    away = 2 * _B / (0.01 + squared) / (1 + curve)
    pull = towards if attract else away
    steps = np.clip(pull[:, None] * apart, -_MOST_STEP, _MOST_STEP)
    for axis in (0, 1):
        moved = np.bincount(head, weights=steps[:, axis], minlength=len(places))
        places[:, axis] += rate * 0.25 * np.clip(moved, -_MOST_STEP, _MOST_STEP)

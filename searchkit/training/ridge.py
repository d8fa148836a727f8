"""Ridge regression onto unit vectors, in closed form; rows set aside choose the pull and the hidden layer."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.encoders.adapted import HeadMap
from searchkit.types import FloatArray

__all__ = ["fit_ridge"]

_Array: TypeAlias = npt.NDArray[np.float64]

_PULLS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HIDDEN = 1024


def fit_ridge(rows: FloatArray, targets: FloatArray, *, seed: int = 0) -> HeadMap:
    """Fit a map from rows (N, i) to unit vectors (N, dim), by the mean cosine on a fifth of the rows.

    Args:
        rows: what is known of each thing.
        targets: where it belongs.
        seed: which rows are set aside, and the random hidden layer.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(rows))
    aside = max(4, len(rows) // 5)
    choosing, fitting = order[:aside], order[aside:]
    given = rows.astype(np.float64)
    width = min(_HIDDEN, max(64, len(rows)))
    hidden = random.normal(size=(rows.shape[1], width)) / max(float(given.std()) * rows.shape[1] ** 0.5, 1e-9)
    shift = random.normal(size=width)
    best: tuple[float, float, bool] = (-2.0, _PULLS[-1], False)
    for uses_hidden in (False, True):
        columns = _columns(given, hidden, shift, uses_hidden)
        for pull in _PULLS:
            weights = _solve(columns[fitting], targets[fitting], pull)
            score = _mean_cosine(columns[choosing] @ weights, targets[choosing])
            if score > best[0] + 1e-4:
                best = score, pull, uses_hidden
    _, pull, uses_hidden = best
    weights = _solve(_columns(given, hidden, shift, uses_hidden), targets, pull)
    inputs = rows.shape[1]
    parts = {
        "weight": weights[:inputs],
        "bias": weights[inputs],
        "hidden_weight": hidden if uses_hidden else None,
        "hidden_bias": shift if uses_hidden else None,
        "output_weight": weights[inputs + 1 :] if uses_hidden else None,
    }
    return HeadMap(**{name: None if a is None else a.astype(np.float32) for name, a in parts.items()})  # type: ignore[arg-type]


def _columns(rows: _Array, hidden: _Array, shift: _Array, uses_hidden: bool) -> _Array:
    parts = [rows, np.ones((len(rows), 1))]
    if uses_hidden:
        parts.append(np.maximum(rows @ hidden + shift, 0))
    return np.hstack(parts)


def _solve(columns: _Array, targets: FloatArray, pull: float) -> _Array:
    """Weights (columns, dim); through whichever of the two normal equations is smaller."""
    wanted = targets.astype(np.float64)
    size = float((columns**2).sum(axis=1).mean())
    if len(columns) <= columns.shape[1]:
        kernel: _Array = columns @ columns.T
        kernel[np.diag_indices(len(kernel))] += pull * size
        through: _Array = columns.T @ np.linalg.solve(kernel, wanted)
        return through
    normal: _Array = columns.T @ columns
    normal[np.diag_indices(len(normal))] += pull * size
    solved: _Array = np.asarray(np.linalg.solve(normal, columns.T @ wanted), np.float64)
    return solved


def _mean_cosine(found: _Array, targets: FloatArray) -> float:
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(targets, axis=1)
    return float(((found * targets).sum(axis=1) / np.maximum(lengths, 1e-12)).mean())

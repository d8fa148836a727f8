"""Fits a checkpoint's weights to a model of another shape: other resolution, more tables, fewer modalities.

What the published loader does silently is done here, and what it refuses for no reason (a `logit_scale`, a
decoder's weights) is dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from searchkit.errors import CheckpointError
from searchkit.one_peace.branches import is_derived
from searchkit.one_peace.positions import CLS_ROWS, resize_grid

__all__ = ["fit_weights", "resize_bias_table"]

_TABLE = re.compile(r"(.*\.rel_pos_table_list)\.(\d+)\.weight")


def fit_weights(weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Choose, resize and copy weights so that they fit a model.

    Args:
        weights: a checkpoint's tensors.
        shapes: the model's parameters.

    Returns:
        The tensors that the model has a place for; those that the checkpoint lacks are left out.

    Raises:
        CheckpointError: the checkpoint is of a larger resolution than the model.
    """
    renamed = {
        key.replace(".rel_pos_table.weight", ".rel_pos_table_list.0.weight"): value
        for key, value in weights.items()
        if not is_derived(key)
    }
    fitted: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        value = renamed.get(key)
        table = _TABLE.fullmatch(key)
        if value is None and table and f"{table[1]}.1.weight" not in renamed:
            value = renamed.get(f"{table[1]}.0.weight")
        if value is None:
            continue
        if tuple(value.shape) != shape:
            if table and ".image_adapter." in key:
                value = resize_bias_table(value, shape[0])
            elif key.endswith("_adapter.pos_embed"):
                value = resize_grid(value, math.isqrt(shape[0] - 1))
        fitted[key] = value
    return fitted


def resize_bias_table(table: Tensor, rows: int) -> Tensor:
    """A grid's bias table ((2n - 1) ** 2 + 3, H) for a larger grid, by cubic splines.

    The known distances are spread as a geometric sequence over the new range, so that near ones keep their
    place; from BEiT (arXiv 2106.08254).

    Raises:
        CheckpointError: the new table is smaller.
    """
    old, new = math.isqrt(table.size(0) - CLS_ROWS), math.isqrt(rows - CLS_ROWS)
    if new < old:
        raise CheckpointError(
            f"the checkpoint's bias table has {table.size(0)} rows, the model's only {rows}:"
            " images may be larger than in training, not smaller"
        )
    if new == old:
        return table
    known = _geometric_positions(old, new // 2)
    wanted = np.arange(-(new // 2), new // 2 + 1, dtype=np.float64)
    weights = _cubic_spline_matrix(known, wanted)
    grid = table[:-CLS_ROWS].double().numpy().reshape(old, old, -1)
    resized = np.einsum("yi,xj,ijh->yxh", weights, weights, grid).reshape(new * new, -1)
    return torch.cat([torch.from_numpy(resized).to(table.dtype), table[-CLS_ROWS:]])


def _geometric_positions(count: int, reach: int) -> npt.NDArray[np.float64]:
    """`count` positions symmetric about 0 with gaps that grow by a ratio, the last one near `reach`."""
    half = count // 2
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio**half) / (1 - ratio) > reach:
            high = ratio
        else:
            low = ratio
    positions = np.cumsum(ratio ** np.arange(half))
    return np.concatenate([-positions[::-1], [0.0], positions])


def _cubic_spline_matrix(
    known: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The matrix that maps values at `known` to a not-a-knot cubic spline's values at `wanted`, clamped."""
    knots = np.concatenate([[known[0]] * 4, known[2:-2], [known[-1]] * 4])
    inside = np.clip(wanted, known[0], known[-1])
    return _basis(knots, inside) @ np.linalg.inv(_basis(knots, known))


def _basis(knots: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values of a knot vector's cubic B-splines at some points, (points, splines); de Boor's recursion."""
    # The right end belongs to the last interval, which half-open intervals would leave out.
    interval = np.clip(np.searchsorted(knots, points, side="right") - 1, 3, len(knots) - 5)
    values = np.zeros((len(points), len(knots) - 1))
    values[np.arange(len(points)), interval] = 1.0
    for degree in range(1, 4):
        count = len(knots) - 1 - degree
        start, end = knots[:count], knots[degree : degree + count]
        next_start, next_end = knots[1 : 1 + count], knots[degree + 1 : degree + 1 + count]
        # Repeated knots make empty intervals, which add nothing.
        rising = (points[:, None] - start) / np.where(end > start, end - start, np.inf)
        falling = (next_end - points[:, None]) / np.where(
            next_end > next_start, next_end - next_start, np.inf
        )
        values = rising * values[:, :count] + falling * values[:, 1 : count + 1]
    return values

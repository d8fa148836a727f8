"""Positions: which row of a bias table a pair of tokens uses, and position embeddings at another size."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["patch_buckets", "resize_grid", "table_rows_1d", "table_rows_2d", "token_buckets"]

MAX_LENGTH = 1024
CLS_ROWS = 3


def table_rows_1d(bucket_size: int) -> int:
    """Rows of a bias table for sequences: 2 * bucket_size - 1 distances and three for cls."""
    return 2 * bucket_size - 1 + CLS_ROWS


def table_rows_2d(side: int) -> int:
    """Rows of a bias table for a grid of side x side patches."""
    return (2 * side - 1) ** 2 + CLS_ROWS


def token_buckets(length: int, bucket_size: int) -> Tensor:
    """Table rows (T, T) for a sequence with cls at 0: linear near the diagonal, logarithmic far from it."""
    distance = torch.arange(MAX_LENGTH, dtype=torch.float64)
    middle = bucket_size // 2
    scale = (middle - 1) / math.log((MAX_LENGTH - 1) / middle)
    far = torch.ceil(torch.log(distance.clamp(min=1) / middle) * scale) + middle
    steps = torch.where(distance <= middle, distance, far).long()
    positions = torch.arange(length)
    relative = positions[:, None] - positions[None, :]
    return _with_cls_rows(steps[relative.abs()] * relative.sign() + bucket_size - 1, 2 * bucket_size - 1)


def patch_buckets(side: int) -> Tensor:
    """Table rows (T, T), T = side * side + 1, for a row-major grid of patches with cls at 0."""
    grid = torch.arange(side)
    row, column = (axis.flatten() for axis in torch.meshgrid(grid, grid, indexing="ij"))
    width = 2 * side - 1
    down = row[:, None] - row[None, :] + side - 1
    right = column[:, None] - column[None, :] + side - 1
    rows = F.pad(down * width + right, (1, 0, 1, 0))
    return _with_cls_rows(rows, width * width)


def _with_cls_rows(rows: Tensor, first: int) -> Tensor:
    rows[0, :] = first
    rows[:, 0] = first + 1
    rows[0, 0] = first + 2
    return rows


def resize_grid(embeddings: Tensor, side: int) -> Tensor:
    """Position embeddings (n * n + 1, D), cls first, resized to a grid of `side` by bicubic interpolation."""
    old = math.isqrt(embeddings.size(0) - 1)
    if old == side:
        return embeddings
    grid = embeddings[1:].float().view(1, old, old, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    flat = resized.permute(0, 2, 3, 1).flatten(0, 2).to(embeddings.dtype)
    return torch.cat([embeddings[:1], flat])

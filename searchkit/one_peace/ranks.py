"""Data-parallel ranks: rows gathered across processes, with gradient; on one process, the identity."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gather_rows", "rank", "total", "world_size"]


def world_size() -> int:
    """How many processes train together; 1 when torch.distributed is not set up."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def total(count: Tensor) -> Tensor:
    """The sum of a tensor over all ranks; takes no gradient."""
    if world_size() == 1:
        return count
    summed = count.detach().clone()
    dist.all_reduce(summed)
    return summed


def gather_rows(rows: Tensor) -> tuple[Tensor, int]:
    """Join every rank's rows in order of rank; ranks may have different numbers of them.

    Gradient flows back to every rank's own rows, summed over the ranks that used them.

    Args:
        rows: (N, ...) of this rank; the other dimensions are the same everywhere.

    Returns:
        (sum of N, ...), and the place of this rank's first row in it.
    """
    if world_size() == 1:
        return rows, 0
    sizes = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(world_size())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    counts = [int(size) for size in sizes]
    start = sum(counts[: rank()])
    joined: Tensor = _Gather.apply(rows, counts, start)  # type: ignore[no-untyped-call]
    return joined, start


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], start: int) -> Tensor:
        ctx.start, ctx.count = start, len(rows)
        longest = max(counts)
        padded = rows.new_zeros((longest, *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        summed = grads[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed[ctx.start : ctx.start + ctx.count], None, None

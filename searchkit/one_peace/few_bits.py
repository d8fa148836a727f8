"""Weights in 8 or 4 bits: rounded, stored, and turned back while a layer runs; activations stay as they are.

Eight bits have one scale a row. Four bits have a scale and a lowest value for each group of 64 neighbours in
a row, two codes a byte: 4.5 bits a weight.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.errors import ModelCorrupt

__all__ = ["GROUP", "FewBitLinear", "FewBitWeight", "round_weight", "rounded_parts", "restore_all"]

GROUP = 64
_CODES, _SCALE, _LOW = ".codes", ".scale", ".low"


@dataclass(frozen=True)
class FewBitWeight:
    """A rounded matrix.

    Attributes:
        codes: (rows, columns) int8, or (rows, ceil(columns / 64) * 32) uint8 for 4 bits.
        scale: (rows,) float32, or (rows, groups) float16.
        low: (rows, groups) float16, None for 8 bits.
        shape: of the weight, whose first axis are the rows.
    """

    codes: Tensor
    scale: Tensor
    low: Tensor | None
    shape: tuple[int, ...]

    def restore(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix as numbers."""
        if self.low is None:
            return (self.codes.to(dtype) * self.scale[:, None].to(dtype)).view(self.shape)
        rows, groups = self.scale.shape
        codes = torch.stack([self.codes & 15, self.codes >> 4], dim=-1).view(rows, groups, GROUP)
        values = codes.to(dtype) * self.scale[:, :, None].to(dtype) + self.low[:, :, None].to(dtype)
        return values.view(rows, -1)[:, : math.prod(self.shape[1:])].reshape(self.shape)

    def to(self, device: torch.device) -> FewBitWeight:
        """The same on a device."""
        low = None if self.low is None else self.low.to(device)
        return FewBitWeight(self.codes.to(device), self.scale.to(device), low, self.shape)

    def tensors(self, key: str) -> dict[str, Tensor]:
        """What is stored for the parameter `key`."""
        named = {f"{key}{_CODES}": self.codes, f"{key}{_SCALE}": self.scale}
        return named if self.low is None else {**named, f"{key}{_LOW}": self.low}


def round_weight(weight: Tensor, bits: int) -> FewBitWeight:
    """Round a weight of two or more axes to 8 or 4 bits."""
    shape = tuple(weight.shape)
    rows = weight.detach().float().flatten(1)
    if bits == 8:
        scale = rows.abs().amax(1).clamp_(min=1e-12) / 127
        return FewBitWeight((rows / scale[:, None]).round_().to(torch.int8), scale, None, shape)
    grouped = F.pad(rows, (0, -rows.shape[1] % GROUP)).view(rows.shape[0], -1, GROUP)
    # Rounded first, so that the codes fit the numbers that are stored.
    low = grouped.amin(2).half()
    scale = ((grouped.amax(2) - low.float()) / 15).clamp_(min=1e-7).half()
    steps = (grouped - low.float()[:, :, None]) / scale.float().clamp(min=1e-7)[:, :, None]
    codes = steps.round_().clamp_(0, 15).to(torch.uint8).view(rows.shape[0], -1, 2)
    return FewBitWeight(codes[:, :, 0] | (codes[:, :, 1] << 4), scale, low, shape)


def rounded_parts(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, FewBitWeight]:
    """The rounded weights among a branch's tensors, by parameter name.

    Raises:
        ModelCorrupt: a part of one is missing.
    """
    found = {}
    for name, codes in tensors.items():
        if not name.endswith(_CODES):
            continue
        key = name.removesuffix(_CODES)
        if f"{key}{_SCALE}" not in tensors or key not in shapes:
            raise ModelCorrupt(f"{key} is stored without its scale", hint="quantize the model again")
        found[key] = FewBitWeight(codes, tensors[f"{key}{_SCALE}"], tensors.get(f"{key}{_LOW}"), shapes[key])
    return found


def restore_all(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    but: Collection[str] = (),
) -> dict[str, Tensor]:
    """A branch's tensors with every rounded weight turned back, without those that are named in `but`."""
    rounded = rounded_parts(tensors, shapes)
    plain = {key: value for key, value in tensors.items() if not key.endswith((_CODES, _SCALE, _LOW))}
    return {**plain, **{key: weight.restore() for key, weight in rounded.items() if key not in but}}


class FewBitLinear(nn.Module):
    """A linear layer that keeps its matrix rounded and turns it back for each product.

    Args:
        layer: gives its bias, whose values may come later.
        weight: the matrix.
    """

    bias: Tensor | None

    def __init__(self, layer: nn.Linear, weight: FewBitWeight) -> None:
        super().__init__()
        self._shape = weight.shape
        self.register_buffer("codes", weight.codes, persistent=False)
        self.register_buffer("scale", weight.scale, persistent=False)
        self.register_buffer("low", weight.low, persistent=False)
        self.register_parameter("bias", layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        codes, scale, low = (getattr(self, name) for name in ("codes", "scale", "low"))
        weight = FewBitWeight(codes, scale, low, self._shape).restore(x.dtype)
        return F.linear(x, weight, self.bias)

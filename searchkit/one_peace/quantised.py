"""Linear layers in int8 on CPU: weights rounded once per output, activations once per row.

Every row has its own scale, so that a result does not depend on the other rows of a batch.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from searchkit.errors import UsageError

__all__ = ["Int8Linear", "RoundedRows", "check_int8", "takes_int8", "weight_levels"]

_INPUT_LEVELS, _ZERO = 127, 128


@functools.cache
def weight_levels() -> int:
    """How finely weights are rounded, to each side of zero.

    Where the CPU adds up products of bytes in 32 bits (VNNI) a byte is used whole; elsewhere sums of two
    products have to fit 16 bits, which takes a bit from the weights.
    """
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return 127 if known.get("avx512_vnni") or known.get("avx_vnni") or known.get("amx_int8") else 63


def check_int8(device: torch.device) -> None:
    """Refuse int8 where it cannot run.

    Raises:
        UsageError: the device is no CPU, or this build of torch lacks oneDNN's int8 product.
    """
    if device.type != "cpu":
        raise UsageError("int8 is for CPUs", hint="use float16 or bfloat16 on a GPU")
    if not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        raise UsageError("this build of torch has no int8 product", hint="use float32 or bfloat16")


def takes_int8(path: str, module: nn.Module) -> bool:
    """Whether a module of the trunk is rounded; down projections are not.

    Their input, a product of two activations, has rare large values: rounding it costs as much direction as
    all other layers together (cosine 0.9989 in place of 0.9993 over 12 layers of random weights).
    """
    return isinstance(module, nn.Linear) and "layers." in path and not path.endswith("_ffn.3")


@dataclass(frozen=True)
class RoundedRows:
    """An input (..., K) as bytes (rows, K) around 128, and each row's step (rows, 1)."""

    rows: Tensor
    step: Tensor
    shape: torch.Size

    @classmethod
    def of(cls, x: Tensor) -> Self:
        """Round (..., K) float32, row by row."""
        rows = x.reshape(-1, x.shape[-1])
        step = rows.abs().amax(1, keepdim=True).clamp_(min=1e-12).div_(_INPUT_LEVELS)
        # Adding a half more than the zero point makes the cut to whole numbers a rounding.
        rounded = (rows * step.reciprocal()).add_(_ZERO + 0.5).to(torch.uint8)
        return cls(rounded, step, x.shape)


class Int8Linear(nn.Module):
    """A linear layer as an int8 product; made from one with loaded weights."""

    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        scale = weight.abs().amax(1).clamp_(min=1e-12) / weight_levels()
        rounded = (weight / scale[:, None]).round_().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.scale = scale
        self.zero_point = torch.zeros(len(scale), dtype=torch.int32)
        self.bias = None if layer.bias is None else layer.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., K) float32 to (..., N) float32."""
        return self.multiply(RoundedRows.of(x))

    def multiply(self, x: RoundedRows) -> Tensor:
        """Map rounded (..., K) to (..., N) float32."""
        weights = self.packed, self.scale, self.zero_point
        no_fusion: tuple[Any, ...] = 1.0, 0, torch.float32, "none", [], ""
        product = torch.ops.onednn.qlinear_pointwise(x.rows, 1.0, _ZERO, *weights, None, *no_fusion)
        out: Tensor = product.mul_(x.step) if self.bias is None else torch.addcmul(self.bias, product, x.step)
        return out.view(*x.shape[:-1], -1)

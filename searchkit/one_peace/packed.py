"""Linear layers with their weights in the order that oneDNN reads fastest; for many products on a CPU.

A packed layer gives what the layer gives, up to the order of sums. It holds a copy: what is memory-mapped and
used once is better left as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.one_peace.quantised import Int8Linear, RoundedRows

__all__ = ["PackedLinear", "can_pack", "products"]


@functools.cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of torch, on this CPU, gains from packing products of a type."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.bfloat16 and not has_bfloat16_products():
        return False
    x, weight = torch.ones(2, 16, dtype=dtype), torch.ones(4, 16, dtype=dtype)
    try:
        found = _product(x, _reordered(weight), None)
    except (AttributeError, RuntimeError, TypeError):  # the operators are torch's own business and may go
        return False
    return bool((found == F.linear(x, weight)).all())


@functools.cache
def has_bfloat16_products() -> bool:
    """Whether the CPU multiplies bfloat16 itself; where it does not, float32 is faster."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def _reordered(weight: Tensor) -> Tensor:
    reordered: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
    return reordered


def _product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product


class PackedLinear(nn.Module):
    """A linear layer made from loaded weights; without gradients.

    Args:
        weight: (N, K).
        bias: (N,) or None.
        dtype: what the product is computed in; inputs are rounded to it, outputs keep the input's type.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.dtype = dtype or weight.dtype
        self.packed = _reordered(weight.detach().to(self.dtype))
        self.bias = None if bias is None else bias.detach().to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., K) to (..., N)."""
        return _product(x.to(self.dtype), self.packed, self.bias).to(x.dtype)


def products(x: Tensor, layers: Sequence[nn.Module]) -> list[Tensor]:
    """What several linear layers make of one input; int8 layers share its rounding."""
    if all(isinstance(layer, Int8Linear) for layer in layers):
        rounded = RoundedRows.of(x)
        return [layer.multiply(rounded) for layer in layers if isinstance(layer, Int8Linear)]
    return [layer(x) for layer in layers]

"""Chooses what the products of a loaded model are computed in, for speed on a CPU."""

from __future__ import annotations

import torch
from torch import nn

from searchkit.one_peace.audio_convolutions import StridedConvolution
from searchkit.one_peace.packed import PackedLinear, can_pack
from searchkit.one_peace.quantised import Int8Linear, takes_int8, weight_levels

__all__ = ["describe_int8", "faster", "unpack_convolution"]


def describe_int8() -> tuple[int, bool]:
    """What the CPU decides about int8 vectors: levels of the weights, and whether the rest is bfloat16."""
    return weight_levels(), can_pack(torch.bfloat16)


def faster(path: str, module: nn.Module, *, int8: bool) -> nn.Module | None:
    """A layer to put in the place of a loaded one; None where it stays.

    With `int8`, most of the trunk's products are int8; its down projections and the waveform's convolutions
    are bfloat16 where the CPU has that, else they keep their type.

    Args:
        path: the layer's name in the model.
        module: the layer; a convolution is changed in place.
        int8: round, in place of only packing the weights.
    """
    if int8 and isinstance(module, nn.Linear) and takes_int8(path, module):
        return Int8Linear(module)
    if not isinstance(module, nn.Linear | StridedConvolution):
        return None
    kind = module.weight.dtype
    if (
        int8
        and (path.endswith("_ffn.3") or isinstance(module, StridedConvolution))
        and can_pack(torch.bfloat16)
    ):
        kind = torch.bfloat16
    if not can_pack(kind):
        return None
    if isinstance(module, StridedConvolution):
        module.packed = PackedLinear(module.flat_weight(), module.bias, kind)
        return None
    return PackedLinear(module.weight, module.bias, kind)


def unpack_convolution(module: nn.Module) -> None:
    """Undo what `faster` did to a convolution."""
    if isinstance(module, StridedConvolution):
        module.packed = None

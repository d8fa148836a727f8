"""The audio adapter's convolutions, computed with channels last so that norms need no transposition."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.one_peace.layers import NORM_EPS, layer_norm
from searchkit.one_peace.packed import PackedLinear

__all__ = ["PositionalConvolutions", "StridedConvolution", "WaveformEncoder"]

_BLOCK_FRAMES = 512


class StridedConvolution(nn.Conv1d):
    """A valid convolution over (T, C) as one matrix product.

    With channels last, the frames under a kernel are one contiguous row, so that the matrix is a copy of
    overlapping views.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__(channels_in, channels, kernel, stride, bias=bias)
        self.packed: PackedLinear | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (T, C_in) to (T_out, C_out), or (B, T, C_in) to (B, T_out, C_out)."""
        kernel, stride, channels = self.kernel_size[0], self.stride[0], self.in_channels
        frames = (x.size(-2) - kernel) // stride + 1
        x = x.contiguous()
        size, steps = (frames, kernel * channels), (stride * channels, 1)
        clips = x.shape[:-2]
        rows = x.as_strided((*clips, *size), (*x.stride()[: len(clips)], *steps), x.storage_offset())
        if self.packed is not None:
            product: Tensor = self.packed(rows.contiguous())
            return product
        return F.linear(rows, self.flat_weight(), self.bias)

    def flat_weight(self) -> Tensor:
        """The weight as the matrix (C_out, kernel * C_in)."""
        return self.weight.transpose(1, 2).flatten(1)


class ConvolutionLayers(nn.Module):
    """The strided convolutions, each with dropout's place, a norm and a GELU."""

    def __init__(self, spec: tuple[tuple[int, int, int], ...], *, bias: bool) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList()
        channels_in = 1
        for channels, kernel, stride in spec:
            # The published layout puts each norm at ".2.1", between two transpositions.
            norm = nn.Sequential(nn.Identity(), layer_norm(channels))
            convolution = StridedConvolution(channels_in, channels, kernel, stride, bias=bias)
            self.conv_layers.append(nn.Sequential(convolution, nn.Identity(), norm, nn.GELU()))
            channels_in = channels

    def forward(self, waveforms: Tensor) -> Tensor:
        """Map (B, samples) to (B, frames, channels).

        Clip by clip, because a whole batch would not fit any cache; at once in training, which keeps all of
        it in memory anyway.
        """
        if torch.is_grad_enabled():
            return self._clip(waveforms[..., None])
        return torch.stack([self._clip(waveform[:, None]) for waveform in waveforms])

    def _clip(self, x: Tensor) -> Tensor:
        given = x.dtype
        for layer in self.conv_layers:
            convolution = layer.get_submodule("0")
            assert isinstance(convolution, StridedConvolution)
            if convolution.packed is not None:
                x = x.to(convolution.packed.dtype)
            x = layer(x) if torch.is_grad_enabled() else _in_blocks(layer, x, convolution)
        return x.to(given)


def _in_blocks(layer: nn.Module, x: Tensor, convolution: StridedConvolution) -> Tensor:
    """A convolution with its norm and GELU, some frames at a time, so that they stay in a cache."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    frames = (len(x) - kernel) // stride + 1
    out = x.new_empty((frames, convolution.out_channels))
    for first in range(0, frames, _BLOCK_FRAMES):
        last = min(first + _BLOCK_FRAMES, frames) - 1
        out[first : last + 1] = layer(x[first * stride : last * stride + kernel])
    return out


class WaveformEncoder(nn.Sequential):
    """Waveforms (B, samples) to frames (B, frames, dim); the convolutional stem of wav2vec 2.0."""

    def __init__(self, spec: tuple[tuple[int, int, int], ...], dim: int, *, bias: bool) -> None:
        channels = spec[-1][0]
        super().__init__(
            ConvolutionLayers(spec, bias=bias), nn.Identity(), layer_norm(channels), nn.Linear(channels, dim)
        )


class PositionalConvolutions(nn.Module):
    """Grouped convolutions over frames, each with a norm without parameters and a GELU; no residual."""

    def __init__(
        self, dim: int, *, depth: int, width: int, groups: int, pre_norm: nn.LayerNorm | None
    ) -> None:
        super().__init__()
        kernel = max(3, width // depth)
        self.dim = dim
        self.padding = kernel // 2
        self.even = kernel % 2 == 0
        blocks = nn.ModuleDict(
            {
                str(i + 1): nn.ModuleList([nn.Conv1d(dim, dim, kernel, padding=self.padding, groups=groups)])
                for i in range(depth)
            }
        )
        self.pre_norm_name = "0" if pre_norm is not None else None
        if pre_norm is not None:
            self.add_module("0", pre_norm)
            self.add_module("1", blocks)
        else:
            for name, block in blocks.items():
                self.add_module(name, block)
        self.depth = depth

    def convolutions(self) -> list[nn.Conv1d]:
        """The convolutions in order."""
        parent = self.get_submodule("1") if self.pre_norm_name else self
        found = [parent.get_submodule(f"{i + 1}.0") for i in range(self.depth)]
        return [module for module in found if isinstance(module, nn.Conv1d)]

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Positions for frames (B, T, D).

        Args:
            x: the frames.
            keep: (B, T, 1) False where a frame is padding; None lets padding take part.
        """
        if self.pre_norm_name:
            x = self.get_submodule("0")(x)
        for convolution in self.convolutions():
            if keep is not None:
                # Zeroed before every convolution, as a lone clip is by the convolution's own padding.
                x = x * keep
            y = convolution(x.transpose(1, 2))
            y = y[:, :, :-1] if self.even else y
            x = F.gelu(F.layer_norm(y.transpose(1, 2), (self.dim,), eps=NORM_EPS))
        return x

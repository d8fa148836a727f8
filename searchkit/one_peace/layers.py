"""Small layers that adapters, trunk and heads share: norms, the gated feed-forward network, drop path."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.one_peace.packed import products

__all__ = ["ChannelNorm", "DropPath", "FeedForward", "GeGLU", "layer_norm"]

NORM_EPS = 1e-5
_BLOCK_ROWS = 288


def layer_norm(dim: int) -> nn.LayerNorm:
    """A LayerNorm with the model's epsilon."""
    return nn.LayerNorm(dim, eps=NORM_EPS)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every pixel's channels: (B, C, H, W) to the same shape."""
        normed: Tensor = self.layer_norm(x.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


class GeGLU(nn.Module):
    """gelu(wi_0 x) * wi_1 x with the exact GELU (Shazeer, arXiv 2002.05202)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(dim, hidden, bias=False)
        self.wi_1 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to (..., hidden)."""
        gate, value = products(x, (self.wi_0, self.wi_1))
        if torch.is_grad_enabled():
            return F.gelu(gate) * value
        # In place: another array of this size costs as much time as a product itself.
        return F.gelu(gate).mul_(value)


class FeedForward(nn.Sequential):
    """GeGLU, dropout, a norm between the products (Magneto, arXiv 2210.06423), and the down projection."""

    def __init__(self, dim: int, hidden: int, *, inner_norm: bool, dropout: float) -> None:
        super().__init__(
            GeGLU(dim, hidden),
            nn.Dropout(dropout),
            layer_norm(hidden) if inner_norm else nn.Identity(),
            nn.Linear(hidden, dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to the same shape; in blocks of rows, so that what lies between stays in a cache."""
        rows = x.flatten(0, -2)
        if torch.is_grad_enabled() or x.device.type != "cpu" or len(rows) <= _BLOCK_ROWS:
            return self._block(x)
        count = -(-len(rows) // _BLOCK_ROWS)
        return torch.cat([self._block(block) for block in rows.chunk(count)]).view(x.shape)

    def _block(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


class DropPath(nn.Module):
    """Drops a whole residual branch per sample while training (arXiv 1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Scale kept samples of (B, T, D) by the inverse of the keep probability."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = torch.rand((x.shape[0], 1, 1), device=x.device, dtype=torch.float32) < keep
        return x * mask.to(x.dtype) / keep

"""Small layers that adapters, trunk and heads share: norms, the gated feed-forward network, drop path."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ChannelNorm", "DropPath", "GeGLU", "feed_forward", "layer_norm"]

NORM_EPS = 1e-5


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
        gate: Tensor = F.gelu(self.wi_0(x))
        if torch.is_grad_enabled():
            gated: Tensor = gate * self.wi_1(x)
            return gated
        # In place: a second array of this size costs as much time as the product itself.
        return gate.mul_(self.wi_1(x))


def feed_forward(dim: int, hidden: int, *, inner_norm: bool, dropout: float) -> nn.Sequential:
    """GeGLU, dropout, a norm between the products (Magneto, arXiv 2210.06423), and the down projection."""
    return nn.Sequential(
        GeGLU(dim, hidden),
        nn.Dropout(dropout),
        layer_norm(hidden) if inner_norm else nn.Identity(),
        nn.Linear(hidden, dim),
    )


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

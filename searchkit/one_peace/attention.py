"""Self-attention with an additive bias; it does not know of modalities or where the bias comes from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.one_peace.layers import layer_norm
from searchkit.one_peace.packed import products

__all__ = ["SelfAttention"]


class SelfAttention(nn.Module):
    """Multi-head self-attention; keys have no bias.

    `inner_norm` puts a norm on the concatenated heads before the output projection (Magneto,
    arXiv 2210.06423); `scale_heads` gives each head a learned factor (NormFormer, arXiv 2110.09456).
    """

    def __init__(self, dim: int, heads: int, *, inner_norm: bool, scale_heads: bool, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim)
        self.q_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)
        self.ln = layer_norm(dim) if inner_norm else None
        self.c_attn = nn.Parameter(torch.empty(heads)) if scale_heads else None

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of (B, T, D), each (B, H, T, D / H)."""
        split = (*x.shape[:2], self.heads, -1)
        query, key, value = products(x, (self.q_proj, self.k_proj, self.v_proj))
        return (
            query.view(split).transpose(1, 2),
            key.view(split).transpose(1, 2),
            value.view(split).transpose(1, 2),
        )

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Attend within (B, T, D).

        Args:
            x: the sequence.
            bias: added to the scores, broadcastable to (B, H, T, T), -inf where a key is padding.
        """
        return self.attend(*self.project(x), bias)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """What `forward` does after the projections: (B, H, T, D / H) each to (B, T, D)."""
        dropout = self.dropout if self.training else 0.0
        if query.dtype == torch.float32 or query.device.type != "cpu":
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        else:
            attended = _attend_in_float32(query, key, value, bias, dropout)
        if self.c_attn is not None:
            attended = attended * self.c_attn.view(1, -1, 1, 1)
        joined = attended.transpose(1, 2).flatten(2)
        if self.ln is not None:
            joined = self.ln(joined)
        out: Tensor = self.out_proj(joined)
        return out


def _attend_in_float32(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    scores = (query * query.size(-1) ** -0.5) @ key.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    weights = F.dropout(scores.float().softmax(-1).to(value.dtype), dropout, training=dropout > 0)
    return weights @ value

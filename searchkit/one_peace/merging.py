"""Merges similar tokens between attention and feed-forward network, so that later layers have fewer.

After "Token Merging: Your ViT But Faster" (Bolya et al., ICLR 2023, arXiv 2210.09461), with what ONE-PEACE's
relative positions need: a merged token keeps the place of the token that it was merged into.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MERGED_SHARE", "Tokens", "merge_counts"]

MERGED_SHARE = 0.6


def merge_counts(tokens: int, layers: int, share: float) -> list[int]:
    """How many tokens each layer merges away, so that `share` of them is gone at the end.

    A layer can halve its tokens at most.

    Args:
        tokens: without cls.
        layers: of the trunk.
        share: between 0 and 1.
    """
    goals = [round(tokens * share * (number + 1) / layers) for number in range(layers)]
    counts: list[int] = []
    for goal in goals:
        left = tokens - sum(counts)
        counts.append(min(max(0, goal - sum(counts)), left // 2))
    return counts


@dataclass(frozen=True)
class Tokens:
    """A sequence of which some tokens stand for several; cls is always first, and alone.

    Attributes:
        x: (B, T, D).
        size: (B, T) how many tokens each stands for.
        place: (B, T) int64, the position whose relative bias each has.
    """

    x: Tensor
    size: Tensor
    place: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Tokens:
        """Tokens before any merging."""
        batch, length = x.shape[:2]
        place = torch.arange(length, device=x.device).expand(batch, -1)
        return cls(x, x.new_ones(batch, length), place)

    def bias(self, whole: Tensor | None) -> Tensor | None:
        """The attention bias (B, H, T, T) between these tokens: relative positions, and each key's size.

        Args:
            whole: (1, H, L, L) for all positions, or None.
        """
        proportion = self.size.log()[:, None, None, :]
        if whole is None:
            return proportion.expand(-1, 1, self.place.size(1), -1)
        if whole.size(-1) == self.place.size(1):
            return whole + proportion if bool(proportion.any()) else whole
        chosen = [whole[0][:, place[:, None], place[None, :]] for place in self.place]
        return torch.stack(chosen) + proportion

    def merged(self, key: Tensor, count: int) -> Tokens:
        """Merge `count` tokens into those whose keys are most alike, by bipartite matching.

        Args:
            key: (B, H, T, D / H), the keys of the attention before.
            count: how many tokens go.
        """
        if count == 0:
            return self
        metric = F.normalize(key.mean(1), dim=-1)
        alike = metric[:, ::2] @ metric[:, 1::2].transpose(1, 2)
        alike[:, 0] = -torch.inf
        best, partner = alike.max(-1)
        order = best.argsort(dim=-1, descending=True, stable=True)
        gone, stay = order[:, :count], order[:, count:].sort(dim=-1).values
        partner = partner.gather(1, gone)
        size = self.size[:, :, None]
        total = _joined(self.x * size, stay, gone, partner)
        sizes = _joined(size, stay, gone, partner)
        place = torch.cat([self.place[:, ::2].gather(1, stay), self.place[:, 1::2]], dim=1)
        return Tokens(total / sizes, sizes[:, :, 0], place)


def _joined(x: Tensor, stay: Tensor, gone: Tensor, partner: Tensor) -> Tensor:
    """Even tokens that stay, then odd ones with what was added to them; (B, T, D) to (B, T - gone, D)."""
    even, odd = x[:, ::2], x[:, 1::2]
    width = (-1, -1, x.size(-1))
    added = odd.scatter_add(
        1, partner[:, :, None].expand(*width), even.gather(1, gone[:, :, None].expand(*width))
    )
    return torch.cat([even.gather(1, stay[:, :, None].expand(*width)), added], dim=1)

"""The adapter for point clouds: groups of neighbours around far-apart centres, one position a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from searchkit.errors import CheckpointError, EncoderError
from searchkit.one_peace.adapter import Adapter, AdapterContext, Embedded, Preserved, gather_positions
from searchkit.one_peace.config import Options
from searchkit.one_peace.layers import layer_norm

__all__ = ["PointAdapter"]

_FEATURES = 6


@dataclass(frozen=True, slots=True)
class PointOptions(Options):
    """Options of a point adapter; the first `groups` of `points` points are the centres."""

    section: ClassVar[str] = "point adapter"

    points: int
    groups: int
    neighbours: int
    shrink_alpha: float = 1.0
    dropout: float = 0.0


class PointAdapter(Adapter):
    """A small PointNet over each group (Point-BERT, arXiv 2111.14819), positions from the centres' places.

    There is no attention bias: where a group lies is in its position.
    """

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        options = PointOptions.from_mapping(values)
        if not 0 < options.groups <= options.points or not 0 < options.neighbours <= options.points:
            raise CheckpointError(
                "config: a point adapter needs at least as many points as groups, neighbours"
            )
        super().__init__(context, shrink_alpha=options.shrink_alpha, dropout=options.dropout)
        self.modality = str(values["modality"])
        self.options = options
        hidden = max(context.dim // 2, 8)
        self.embed_points = nn.Sequential(nn.Linear(_FEATURES, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.embed_groups = nn.Sequential(
            layer_norm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, context.dim)
        )
        self.embed_centres = nn.Sequential(nn.Linear(3, hidden), nn.GELU(), nn.Linear(hidden, context.dim))
        self.cls_position = nn.Parameter(torch.empty(1, 1, context.dim))
        self.add_embedding_options(False, False)
        self.add_bias_tables(0, use_attn_bias=False)

    def bucket(self, length: int) -> Tensor:
        """There are no bias tables."""
        return torch.zeros((length, length), dtype=torch.long)

    def forward(self, values: Tensor, *, preserved: Preserved | None = None) -> Embedded:
        """Embed clouds (B, points, 6), farthest points first, into groups + 1 positions.

        Raises:
            EncoderError: the clouds are of another shape.
        """
        shape = (self.options.points, _FEATURES)
        if tuple(values.shape[1:]) != shape:
            raise EncoderError(f"{self.modality} input needs (B, *{shape}), got {tuple(values.shape)}")
        batch, length = values.size(0), self.options.groups + 1
        padding_mask = torch.zeros((batch, length), dtype=torch.bool, device=values.device)
        centres = values[:, : self.options.groups, :3]
        positions = torch.cat([self.cls_position.expand(batch, -1, -1), self.embed_centres(centres)], dim=1)
        if preserved is not None and preserved.mask_token is not None:
            x = self.fill_masked(preserved, length)
        else:
            x = torch.cat([self.cls_embedding.expand(batch, -1, -1), self._groups(values, centres)], dim=1)
            if preserved is not None:
                x, positions = gather_positions(x, preserved), gather_positions(positions, preserved)
        return self.embedded(self.finish(x, positions, preserved), padding_mask, preserved)

    def _groups(self, values: Tensor, centres: Tensor) -> Tensor:
        """Features (B, groups, dim) of each centre's nearest points, told from the centre."""
        distances = torch.cdist(centres.float(), values[..., :3].float())
        nearest = distances.topk(self.options.neighbours, dim=2, largest=False).indices
        rows = torch.arange(values.size(0), device=values.device)[:, None, None]
        members = values[rows, nearest]
        local = torch.cat([members[..., :3] - centres[:, :, None], members[..., 3:]], dim=-1)
        pooled = self.embed_points(local).amax(dim=2)
        embedded: Tensor = self.embed_groups(pooled)
        return embedded

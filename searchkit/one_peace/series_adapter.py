"""The adapter for series of fixed length, cut into patches: IMU windows, fMRI vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from searchkit.errors import CheckpointError, EncoderError
from searchkit.one_peace.adapter import Adapter, AdapterContext, Embedded, Preserved, gather_positions
from searchkit.one_peace.config import Options
from searchkit.one_peace.positions import table_rows_1d, token_buckets

__all__ = ["SeriesAdapter"]


@dataclass(frozen=True, slots=True)
class SeriesOptions(Options):
    """Options of a series adapter; each patch of `patch` values of all `channels` is one position."""

    section: ClassVar[str] = "series adapter"

    channels: int
    length: int
    patch: int
    bucket_size: int = 64
    layernorm_embedding: bool = False
    add_type_embedding: bool = False
    shrink_alpha: float = 1.0
    dropout: float = 0.0
    use_attn_bias: bool = False


class SeriesAdapter(Adapter):
    """One convolution over patches (as OneLLM's for IMU and fMRI), learned positions, relative bias."""

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        options = SeriesOptions.from_mapping(values)
        if options.length % options.patch:
            raise CheckpointError(f"config: a length of {options.length} is no multiple of {options.patch}")
        super().__init__(context, shrink_alpha=options.shrink_alpha, dropout=options.dropout)
        self.modality = str(values["modality"])
        self.shape = (options.channels, options.length)
        self.bucket_size = options.bucket_size
        self.embed_patches = nn.Conv1d(options.channels, context.dim, options.patch, options.patch)
        self.pos_embed = nn.Parameter(torch.empty(options.length // options.patch + 1, context.dim))
        self.add_embedding_options(options.layernorm_embedding, options.add_type_embedding)
        self.add_bias_tables(table_rows_1d(options.bucket_size), use_attn_bias=options.use_attn_bias)

    def bucket(self, length: int) -> Tensor:
        """Rows of a bias table, (T, T)."""
        return token_buckets(length, self.bucket_size)

    def forward(self, values: Tensor, *, preserved: Preserved | None = None) -> Embedded:
        """Embed series (B, channels, length) into length / patch + 1 positions.

        Raises:
            EncoderError: the series are of another shape.
        """
        if tuple(values.shape[1:]) != self.shape:
            raise EncoderError(f"{self.modality} input needs (B, *{self.shape}), got {tuple(values.shape)}")
        batch, length = values.size(0), self.pos_embed.size(0)
        padding_mask = torch.zeros((batch, length), dtype=torch.bool, device=values.device)
        positions = self.pos_embed[None]
        if preserved is not None and preserved.mask_token is not None:
            x = self.fill_masked(preserved, length)
        else:
            patches: Tensor = self.embed_patches(values).transpose(1, 2)
            x = torch.cat([self.cls_embedding.expand(batch, -1, -1), patches], dim=1)
            if preserved is not None:
                x, positions = gather_positions(x, preserved), gather_positions(positions, preserved)
        return self.embedded(self.finish(x, positions, preserved), padding_mask, preserved)

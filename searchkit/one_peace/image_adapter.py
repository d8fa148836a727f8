"""The image adapter: normalised square pixels to the trunk's input, by convolutions over 16-pixel patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from searchkit.errors import EncoderError
from searchkit.one_peace.adapter import (
    Adapter,
    AdapterContext,
    Embedded,
    Preserved,
    check_choice,
    gather_positions,
)
from searchkit.one_peace.config import PATCH_PX, Options
from searchkit.one_peace.layers import ChannelNorm
from searchkit.one_peace.positions import patch_buckets, resize_grid, table_rows_2d

__all__ = ["ImageAdapter", "ImageOptions"]


@dataclass(frozen=True, slots=True)
class ImageOptions(Options):
    """Options of `image_adapter`; `rel_bucket_size` is not among them: the image size decides it."""

    section: ClassVar[str] = "image_adapter"

    bucket_size: int = 16
    layernorm_embedding: bool = False
    add_type_embedding: bool = False
    vision_encoder_type: str = "hmlp"
    shrink_alpha: float = 1.0
    dropout: float = 0.0
    use_attn_bias: bool = False


def patch_embedding(kind: str, channels: int, dim: int) -> nn.Module | None:
    """Pixels (B, channels, S, S) to patches (B, dim, S / 16, S / 16).

    "hmlp" is the hierarchical stem of arXiv 2203.09795, "mlp" a single convolution, "none" nothing at all.
    """
    check_choice("vision_encoder_type", kind, ("hmlp", "mlp", "none"))
    if kind == "none":
        return None
    if kind == "mlp":
        return nn.Conv2d(channels, dim, PATCH_PX, PATCH_PX, bias=False)
    hidden = dim // 4
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 4, 4),
        ChannelNorm(hidden),
        nn.GELU(),
        nn.Conv2d(hidden, hidden, 2, 2),
        ChannelNorm(hidden),
        nn.GELU(),
        nn.Conv2d(hidden, dim, 2, 2),
    )


class ImageAdapter(Adapter):
    """Patches, learned positions resized at run time, relative bias over the grid."""

    modality = "image"
    channels = 3

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        options = ImageOptions.from_mapping(values)
        super().__init__(context, shrink_alpha=options.shrink_alpha, dropout=options.dropout)
        self.size_px = context.patch_image_size
        self.side = self.size_px // PATCH_PX
        self.embed_images = patch_embedding(options.vision_encoder_type, self.channels, context.dim)
        self.pos_embed = nn.Parameter(torch.empty(options.bucket_size**2 + 1, context.dim))
        self.add_embedding_options(options.layernorm_embedding, options.add_type_embedding)
        self.type_embedding_2 = (
            nn.Parameter(torch.empty(1, 1, context.dim)) if options.add_type_embedding else None
        )
        self.add_bias_tables(table_rows_2d(self.side), use_attn_bias=options.use_attn_bias)

    def bucket(self, length: int) -> Tensor:
        """Rows of a bias table, (T, T)."""
        return patch_buckets(self.side)

    def forward(
        self, src_images: Tensor, *, preserved: Preserved | None = None, is_second_image: bool = False
    ) -> Embedded:
        """Embed pixels (B, 3, S, S) into (S / 16) ** 2 + 1 positions.

        Raises:
            EncoderError: the images are not squares of the size that the model was made for.
        """
        size = self.size_px
        shape = tuple(src_images.shape)
        if len(shape) != 4 or shape[1:] != (self.channels, size, size):
            raise EncoderError(
                f"{self.modality} input needs (B, {self.channels}, {size}, {size}), got {shape}"
            )
        batch, length = src_images.size(0), self.side**2 + 1
        padding_mask = torch.zeros((batch, length), dtype=torch.bool, device=src_images.device)
        positions = resize_grid(self.pos_embed, self.side)[None]
        if preserved is not None and preserved.mask_token is not None:
            x = self.fill_masked(preserved, length)
        else:
            if self.embed_images is None:
                raise EncoderError(f"this {self.modality} adapter has no patch embedding: it decodes only")
            patches: Tensor = self.embed_images(src_images).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls_embedding.expand(batch, -1, -1), patches], dim=1)
            if preserved is not None:
                x, positions = gather_positions(x, preserved), gather_positions(positions, preserved)
        second = self.type_embedding_2 if is_second_image else None
        x = self.finish(x, positions, preserved, second)
        return self.embedded(x, padding_mask, preserved)

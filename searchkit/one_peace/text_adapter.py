"""The text adapter: token ids to the trunk's input; it does not know how ids are made from letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from searchkit.errors import EncoderError
from searchkit.one_peace.adapter import Adapter, AdapterContext, Embedded, Preserved, gather_positions
from searchkit.one_peace.config import Options
from searchkit.one_peace.positions import table_rows_1d, token_buckets

__all__ = ["PAD_ID", "TextAdapter"]

PAD_ID = 1
_POSITIONS = 514


@dataclass(frozen=True, slots=True)
class TextOptions(Options):
    """Options of `text_adapter`."""

    section: ClassVar[str] = "text_adapter"

    bucket_size: int = 256
    layernorm_embedding: bool = False
    add_type_embedding: bool = False
    shrink_alpha: float = 1.0
    dropout: float = 0.0
    use_attn_bias: bool = False


class TextAdapter(Adapter):
    """Token embedding, learned positions counted from cls at 0, logarithmic relative bias."""

    modality = "text"

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        options = TextOptions.from_mapping(values)
        super().__init__(context, shrink_alpha=options.shrink_alpha, dropout=options.dropout)
        self.bucket_size = options.bucket_size
        rows = context.dictionary_size
        self.embed_tokens = nn.Embedding(rows, context.dim, padding_idx=PAD_ID) if rows else None
        self.embed_positions = nn.Embedding(_POSITIONS, context.dim)
        self.add_embedding_options(options.layernorm_embedding, options.add_type_embedding)
        self.add_bias_tables(table_rows_1d(options.bucket_size), use_attn_bias=options.use_attn_bias)

    def bucket(self, length: int) -> Tensor:
        """Rows of a bias table, (T, T)."""
        return token_buckets(length, self.bucket_size)

    def forward(self, src_tokens: Tensor, *, preserved: Preserved | None = None) -> Embedded:
        """Embed padded token ids (B, T) int64, eos last and no bos, into T + 1 positions.

        Raises:
            EncoderError: the sequence is longer than the position table or holds an unknown id.
        """
        batch, length = src_tokens.size(0), src_tokens.size(1) + 1
        if length > _POSITIONS:
            raise EncoderError(f"a text of {length - 1} tokens is longer than the {_POSITIONS - 1} that fit")
        padding_mask = nn.functional.pad(src_tokens.eq(PAD_ID), (1, 0), value=False)
        positions = self.embed_positions(torch.arange(length, device=src_tokens.device))[None]
        if preserved is not None and preserved.mask_token is not None:
            x = self.fill_masked(preserved, length)
        else:
            if self.embed_tokens is None:
                raise EncoderError("this text adapter has no token embedding: it decodes only")
            tokens = self.embed_tokens(src_tokens)
            x = torch.cat([self.cls_embedding.expand(batch, -1, -1), tokens], dim=1)
            if preserved is not None:
                x, positions = gather_positions(x, preserved), gather_positions(positions, preserved)
        x = self.finish(x, positions, preserved)
        return self.embedded(x, padding_mask, preserved)

"""The audio adapter: 16 kHz waveforms to the trunk's input, by strided and then positional convolutions.

In the published model a clip's frames see what it was padded with. `isolate` keeps padding out, so that each
clip of a batch gets exactly what it gets alone.
"""

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
from searchkit.one_peace.audio_convolutions import PositionalConvolutions, WaveformEncoder
from searchkit.one_peace.config import Options, frame_count, parse_conv_spec
from searchkit.one_peace.layers import layer_norm
from searchkit.one_peace.positions import MAX_LENGTH, table_rows_1d, token_buckets

__all__ = ["AudioAdapter"]


@dataclass(frozen=True, slots=True)
class AudioOptions(Options):
    """Options of `audio_adapter`."""

    section: ClassVar[str] = "audio_adapter"

    feature_encoder_spec: str | None = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2"
    abs_pos_type: str = "conv"
    conv_pos_depth: int = 5
    conv_pos_width: int = 95
    conv_pos_groups: int = 16
    conv_pos_pre_ln: bool = False
    bucket_size: int = 256
    layernorm_embedding: bool = False
    add_type_embedding: bool = False
    shrink_alpha: float = 1.0
    dropout: float = 0.0
    use_attn_bias: bool = False
    conv_bias: bool = False


class AudioAdapter(Adapter):
    """Waveform frames, convolutional positions, logarithmic relative bias."""

    modality = "audio"

    def __init__(self, values: Mapping[str, Any], context: AdapterContext) -> None:
        options = AudioOptions.from_mapping(values)
        check_choice("abs_pos_type", options.abs_pos_type, ("conv", "fixed"))
        super().__init__(context, shrink_alpha=options.shrink_alpha, dropout=options.dropout)
        self.bucket_size = options.bucket_size
        self.spec = parse_conv_spec(options.feature_encoder_spec)
        self.mask_embedding = nn.Parameter(torch.empty(1, context.dim))
        self.embed_audios = (
            WaveformEncoder(self.spec, context.dim, bias=options.conv_bias) if self.spec else None
        )
        self.cls_pos_embed: nn.Parameter | None = None
        self.embed_positions: nn.Module
        if options.abs_pos_type == "conv":
            self.cls_pos_embed = nn.Parameter(torch.empty(1, 1, context.dim))
            self.embed_positions = PositionalConvolutions(
                context.dim,
                depth=options.conv_pos_depth,
                width=options.conv_pos_width,
                groups=options.conv_pos_groups,
                pre_norm=layer_norm(context.dim) if options.conv_pos_pre_ln else None,
            )
        else:
            self.embed_positions = nn.Embedding(MAX_LENGTH + 2, context.dim)
        self.add_embedding_options(options.layernorm_embedding, options.add_type_embedding)
        self.add_bias_tables(table_rows_1d(options.bucket_size), use_attn_bias=options.use_attn_bias)

    def bucket(self, length: int) -> Tensor:
        """Rows of a bias table, (T, T)."""
        return token_buckets(length, self.bucket_size)

    def forward(
        self,
        src_audios: Tensor,
        audio_padding_masks: Tensor,
        *,
        frames: Tensor | None = None,
        preserved: Preserved | None = None,
        isolate: bool = False,
    ) -> Embedded:
        """Embed waveforms (B, samples) into frames + 1 positions.

        Args:
            src_audios: normalised 16 kHz waveforms, padded with zeros.
            audio_padding_masks: (B, frames + 1), True at padding; cls first.
            frames: what `embed_frames` gave for them, where several passes share it.
            preserved: positions that a masked pass keeps.
            isolate: keep padding out of the positional convolutions.

        Raises:
            EncoderError: too long, too short, or the mask does not fit.
        """
        batch, length = audio_padding_masks.size(0), audio_padding_masks.size(1)
        if length > MAX_LENGTH:
            raise EncoderError(f"a sound of {length - 1} frames is longer than the {MAX_LENGTH - 1} that fit")
        if preserved is not None and preserved.mask_token is not None:
            x = self.fill_masked(preserved, length)
        else:
            count = frame_count(src_audios.size(1), self.spec)
            if count != length - 1 or count < 1:
                raise EncoderError(
                    f"{src_audios.size(1)} samples give {count} frames, the padding mask has {length - 1}"
                )
            frames = self.embed_frames(src_audios) if frames is None else frames
            x = torch.cat([self.cls_embedding.expand(batch, -1, -1), frames], dim=1)
            if preserved is not None:
                x = gather_positions(x, preserved)
        padding_mask = audio_padding_masks.bool()
        used_mask = padding_mask if preserved is None else preserved.padding_mask
        keep = ~used_mask[:, 1:, None] if isolate and bool(used_mask.any()) else None
        x = self._finish_audio(x, length, keep, preserved)
        return self.embedded(x, padding_mask, preserved)

    def embed_frames(self, src_audios: Tensor) -> Tensor:
        """Waveforms (B, samples) as frames (B, T, dim), before positions.

        Raises:
            EncoderError: the adapter only decodes.
        """
        if self.embed_audios is None:
            raise EncoderError("this audio adapter has no waveform encoder: it decodes only")
        frames: Tensor = self.embed_audios(src_audios)
        return frames

    def _finish_audio(
        self, x: Tensor, length: int, keep: Tensor | None, preserved: Preserved | None
    ) -> Tensor:
        if isinstance(self.embed_positions, nn.Embedding):
            positions = self.embed_positions(torch.arange(length, device=x.device))[None]
            if preserved is not None and preserved.mask_token is None:
                positions = gather_positions(positions, preserved)
            return self.finish(x, positions, preserved)
        assert self.cls_pos_embed is not None
        convolved = self.embed_positions(x[:, 1:], keep)
        positions = torch.cat([self.cls_pos_embed.expand(x.size(0), -1, -1), convolved], dim=1)
        return self.finish(x, positions, preserved)

"""The pretraining model: contrastive projections, and a light decoder that predicts masked features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.errors import CheckpointError
from searchkit.one_peace.adapter import Preserved
from searchkit.one_peace.audio_adapter import AudioAdapter
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.trunk import Encoded
from searchkit.one_peace.wrapper import EncoderWrapper

__all__ = ["PretrainModel"]


class PretrainModel(nn.Module):
    """Encoder, decoder, projections, mask tokens and mask heads for the config's modalities."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.decoder is None:
            raise CheckpointError("config: a pretraining model needs a model.decoder section")
        self.config = config
        names = config.modalities
        width, narrow = config.encoder.embed_dim, config.decoder.embed_dim
        self.encoder_wrapper = EncoderWrapper(config, config.encoder, names, table_per_layer=False)
        self.decoder_wrapper = EncoderWrapper(
            config, config.decoder, names, table_per_layer=False, decodes=True
        )
        for name in names:
            self.add_module(f"{name}_proj", nn.Linear(width, width))
            self.add_module(f"decoder_{name}_embed", nn.Linear(width, narrow))
            self.add_module(f"{name}_mask_head", nn.Linear(narrow, width))
            self.register_parameter(f"{name}_mask_token", nn.Parameter(torch.empty(1, narrow)))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale_init)))
        if config.stage2_pretrain:
            self.freeze_text_and_attention()

    def freeze_text_and_attention(self) -> None:
        """Leave only the new modality trainable, as the audio stage of the published training does."""
        new = [name for name in self.config.modalities if name not in ("text", "image")]
        for key, parameter in self.encoder_wrapper.named_parameters():
            parameter.requires_grad_(any(f"{name}_" in key for name in new))
        self.get_submodule("text_proj").requires_grad_(False)

    def encode(self, inputs: Mapping[str, Mapping[str, Any]]) -> Encoded:
        """An unmasked pass over one modality or several joined."""
        encoded: Encoded = self.encoder_wrapper(inputs)
        return encoded

    def embed_frames(self, src_audios: Tensor) -> Tensor:
        """Waveforms (B, samples) as the frames that every pass of the audio stage begins with."""
        adapter = self.encoder_wrapper.get_submodule("audio_adapter")
        assert isinstance(adapter, AudioAdapter)
        return adapter.embed_frames(src_audios)

    def project(self, modality: str, encoded: Encoded) -> Tensor:
        """Unit vectors (B, dim) for contrast, from a modality's cls position."""
        projected: Tensor = self.get_submodule(f"{modality}_proj")(encoded.of(modality)[:, 0])
        return F.normalize(projected, dim=1)

    def predict_masked(
        self, inputs: Mapping[str, Mapping[str, Any]], preserve_ids: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """A masked pass: encode what is preserved, decode every position.

        Args:
            inputs: adapter arguments by modality, in joint order.
            preserve_ids: (B, P) positions that each modality keeps, -1 as padding; 0 is cls.

        Returns:
            By modality, features (B, T, dim) at all positions.
        """
        ids = preserve_ids
        kept = {name: {**values, "preserved": Preserved(ids[name])} for name, values in inputs.items()}
        encoded: Encoded = self.encoder_wrapper(kept)
        to_decode = {
            name: {
                **values,
                "preserved": Preserved(
                    ids[name],
                    embed=self.get_submodule(f"decoder_{name}_embed")(encoded.of(name)),
                    mask_token=self.get_parameter(f"{name}_mask_token"),
                ),
            }
            for name, values in inputs.items()
        }
        decoded: Encoded = self.decoder_wrapper(to_decode)
        return {name: self.get_submodule(f"{name}_mask_head")(decoded.of(name)) for name in inputs}

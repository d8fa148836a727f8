"""The retrieval model: one unit vector a text, picture or sound."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.wrapper import EncoderWrapper

__all__ = ["RetrievalModel"]


class RetrievalModel(nn.Module):
    """Adapters, trunk and one projection per modality."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.encoder.embed_dim
        self.encoder_wrapper = EncoderWrapper(
            config, config.encoder, config.modalities, table_per_layer=config.copy_rel_pos_table
        )
        for name in config.modalities:
            self.add_module(f"{name}_proj", nn.Linear(dim, dim))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale_init)))

    def forward(self, encoder_type: str, **inputs: Any) -> Tensor:
        """Embed a batch of one modality.

        Args:
            encoder_type: the modality's name.
            **inputs: the adapter's arguments, such as `src_tokens`, `src_images`, or `src_audios` with
                `audio_padding_masks`.

        Returns:
            (B, dim) unit rows.

        Raises:
            ModalityUnsupported: the model lacks that modality.
        """
        encoded = self.encoder_wrapper({encoder_type: inputs})
        projected: Tensor = self.get_submodule(f"{encoder_type}_proj")(encoded.x[:, 0])
        return F.normalize(projected, dim=1)

"""Adapters and trunk together: raw inputs of one or several modalities to encoded sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from searchkit.errors import ModalityUnsupported
from searchkit.one_peace.adapter import AdapterContext, Embedded, adapter_factory, register_modality
from searchkit.one_peace.audio_adapter import AudioAdapter
from searchkit.one_peace.config import EncoderConfig, ModelConfig
from searchkit.one_peace.image_adapter import ImageAdapter
from searchkit.one_peace.text_adapter import TextAdapter
from searchkit.one_peace.trunk import Encoded, Trunk

__all__ = ["EncoderWrapper", "init_parameter", "init_parameters"]

register_modality("text", TextAdapter)
register_modality("image", ImageAdapter)
register_modality("audio", AudioAdapter)


class EncoderWrapper(nn.Module):
    """One adapter per modality and the trunk that they share.

    Args:
        config: the model.
        section: the encoder's or the decoder's options.
        modalities: which to build.
        table_per_layer: give every layer a relative-position table of its own.
        decodes: build a decoder, whose adapters embed no raw input.
    """

    def __init__(
        self,
        config: ModelConfig,
        section: EncoderConfig,
        modalities: Sequence[str],
        *,
        table_per_layer: bool,
        decodes: bool = False,
    ) -> None:
        super().__init__()
        context = AdapterContext(
            dim=section.embed_dim,
            heads=section.attention_heads,
            tables=section.layers if table_per_layer else 1,
            dictionary_size=0 if decodes else config.dictionary_size,
            patch_image_size=config.task.patch_image_size,
        )
        self.modalities = tuple(modalities)
        for name in modalities:
            self.add_module(f"{name}_adapter", adapter_factory(name)(section.adapters.get(name, {}), context))
        self.fusion_model = Trunk(section, modalities)

    def embed(self, modality: str, inputs: Mapping[str, Any]) -> Embedded:
        """Run one adapter on its keyword arguments.

        Raises:
            ModalityUnsupported: the model was built without that modality.
        """
        if modality not in self.modalities:
            raise ModalityUnsupported(
                f"this model has no {modality} branch, only {', '.join(self.modalities)}",
                hint="use a checkpoint that was trained with that modality",
            )
        embedded: Embedded = self.get_submodule(f"{modality}_adapter")(**inputs)
        return embedded

    def forward(self, inputs: Mapping[str, Mapping[str, Any]]) -> Encoded:
        """Encode one modality, or several joined in the order of the mapping."""
        encoded: Encoded = self.fusion_model([self.embed(name, values) for name, values in inputs.items()])
        return encoded


def init_parameters(module: nn.Module) -> None:
    """Start values for a model without a checkpoint: small normal matrices, unit norms, zero biases."""
    for name, parameter in module.named_parameters():
        init_parameter(name, parameter)


def init_parameter(name: str, parameter: Tensor) -> None:
    """The start values of one parameter."""
    if name.endswith(("gamma_1", "gamma_2")):
        nn.init.constant_(parameter, 1e-6)
    elif name.endswith("c_attn"):
        nn.init.ones_(parameter)
    elif name.endswith("bias") or "mask_embedding" in name:
        nn.init.zeros_(parameter)
    elif parameter.dim() == 1:
        nn.init.ones_(parameter)
    elif parameter.dim() > 1:
        nn.init.trunc_normal_(parameter, std=0.02)

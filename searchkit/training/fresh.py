"""Small ONE-PEACE models with random weights, to be trained on a machine like yours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from searchkit.one_peace.branches import branch_of
from searchkit.one_peace.build import build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.wrapper import init_parameter
from searchkit.training.model_files import write_new

__all__ = ["new_model", "small_config", "start_values"]

_ADAPTER = {
    "layernorm_embedding": False,
    "add_type_embedding": False,
    "shrink_alpha": 1.0,
    "dropout": 0.0,
    "use_attn_bias": True,
}


# The published convolutions, with an eighth of their channels.
_SOUND = {
    "bucket_size": 64,
    "feature_encoder_spec": "[(64, 10, 5)] + [(64, 3, 2)] * 4 + [(64, 2, 2)] * 2",
    "abs_pos_type": "conv",
    "conv_pos_depth": 5,
    "conv_pos_width": 95,
    "conv_pos_groups": 4,
    "conv_pos_pre_ln": False,
    "conv_bias": False,
}


def small_config(
    *,
    modalities: Sequence[str] = ("text", "image"),
    dim: int = 128,
    layers: int = 3,
    heads: int = 4,
    size_px: int = 64,
    dictionary_size: int = 8192,
) -> dict[str, Any]:
    """A configuration in the form of the published ones.

    Args:
        modalities: some of text, image, audio and those that plugs add.
        dim: width; the feed-forward networks are four times as wide.
        layers: of the trunk.
        heads: of its attention.
        size_px: side of pictures and maps.
        dictionary_size: rarer tokens than this become <unk>.
    """
    side = size_px // 16
    adapters: dict[str, Any] = {
        "text_adapter": {**_ADAPTER, "bucket_size": 64},
        "image_adapter": {**_ADAPTER, "bucket_size": side, "vision_encoder_type": "hmlp"},
        "audio_adapter": {**_ADAPTER, **_SOUND},
    }
    for name in modalities:
        adapters.setdefault(f"{name}_adapter", {"bucket_size": side} if name in ("depth", "normal") else {})
    return {
        "task": {
            "_name": "image_text_retrieval",
            "patch_image_size": size_px,
            "max_src_length": 70,
            "max_duration": 15,
            "head_type": "+".join(modalities),
        },
        "model": {
            "_name": "one_peace_retrieval",
            "copy_rel_pos_table": False,
            "encoder": {
                "embed_dim": dim,
                "ffn_embed_dim": 4 * dim,
                "layers": layers,
                "attention_heads": heads,
                **adapters,
                "magneto_scale_attn": True,
                "scale_attn": False,
                "scale_fc": True,
                "scale_heads": False,
                # It starts at 1e-6, from where a short training does not come back.
                "use_layer_scale": False,
                "dropout": 0.0,
            },
        },
        "dictionary_size": dictionary_size,
    }


def start_values(name: str, parameter: torch.Tensor) -> None:
    """Random values on the scale of a parameter's width; at the published width, much as published."""
    if parameter.dim() < 2 or "rel_pos" in name or "mask_embedding" in name:
        init_parameter(name, parameter)
        return
    tables = ("embed_tokens", "embed_positions.weight", "pos_embed", "cls_", "type_embedding")
    is_table = any(part in name for part in tables)
    width = parameter.shape[-1] if is_table else math.prod(parameter.shape[1:])
    torch.nn.init.trunc_normal_(parameter, std=width**-0.5)


def new_model(folder: Path, config: dict[str, Any] | None = None, *, seed: int = 0) -> Path:
    """Write a model with random weights; `searchkit train finetune --method full` gives it its first ones.

    Args:
        folder: to be made.
        config: as ``small_config`` gives it; None for its defaults.
        seed: of the weights.

    Raises:
        UsageError: there is something at the folder already.
    """
    config = config or small_config()
    read = ModelConfig.from_config(config)
    torch.manual_seed(seed)
    model = build_model(read)
    branches: dict[str, dict[str, torch.Tensor]] = {}
    for key, parameter in model.named_parameters():
        start_values(key, parameter)
        branches.setdefault(branch_of(key, read.modalities), {})[key] = parameter
    write_new(folder, config, branches)
    return folder

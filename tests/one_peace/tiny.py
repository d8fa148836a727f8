"""Tiny ONE-PEACE models with random weights, as objects and as checkpoint files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from searchkit.one_peace.build import Model, build_model
from searchkit.one_peace.config import ModelConfig

CONVOLUTIONS = "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] * 2"
_ADAPTER = {
    "layernorm_embedding": False,
    "add_type_embedding": False,
    "shrink_alpha": 1.0,
    "dropout": 0.0,
    "use_attn_bias": True,
}
_ENCODER = {
    "embed_dim": 32,
    "ffn_embed_dim": 64,
    "layers": 2,
    "attention_heads": 4,
    "text_adapter": {**_ADAPTER, "bucket_size": 64},
    "image_adapter": {**_ADAPTER, "bucket_size": 4, "rel_bucket_size": 16, "vision_encoder_type": "hmlp"},
    "audio_adapter": {
        **_ADAPTER,
        "bucket_size": 64,
        "feature_encoder_spec": CONVOLUTIONS,
        "abs_pos_type": "conv",
        "conv_pos_depth": 3,
        "conv_pos_width": 15,
        "conv_pos_groups": 4,
        "conv_pos_pre_ln": False,
        "conv_bias": False,
    },
    "drop_path_rate": 0.0,
    "magneto_scale_attn": True,
    "scale_attn": False,
    "scale_fc": True,
    "scale_heads": False,
    "use_text_moe": True,
    "use_image_moe": True,
    "use_audio_moe": True,
    "use_layer_scale": True,
    "layer_scale_init_value": 1e-6,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}


def tiny_config(
    kind: str = "one_peace_retrieval",
    head_type: str = "val",
    *,
    encoder: dict[str, Any] | None = None,
    task: dict[str, Any] | None = None,
    **model: Any,
) -> dict[str, Any]:
    """The sections of a checkpoint's configuration, complete and small."""
    sections = copy.deepcopy(_ENCODER)
    return {
        "task": {
            "_name": "image_text_retrieval",
            "patch_image_size": 64,
            "max_src_length": 70,
            "max_duration": 15,
            "head_type": head_type,
            "num_classes": None,
            "use_two_images": False,
            **(task or {}),
        },
        "model": {
            "_name": kind,
            "copy_rel_pos_table": False,
            "encoder": {**sections, **(encoder or {})},
            **model,
        },
        "dictionary_size": 2000,
    }


def tiny_model(config: dict[str, Any], *, seed: int = 0) -> Model:
    """A model whose every weight has a say in its outputs."""
    model = build_model(ModelConfig.from_config(config)).eval()
    randomise(model, seed)
    return model


def randomise(model: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(("gamma_1", "gamma_2")):
                parameter.copy_(0.5 + 0.1 * noise)
            elif "norm" in name or ".ln." in name or "ffn.2." in name or ".2.1." in name:
                parameter.copy_((1.0 if name.endswith("weight") else 0.0) + 0.1 * noise)
            elif parameter.dim() == 2 and "embed" not in name and "rel_pos" not in name:
                parameter.copy_(0.8 * noise / parameter.shape[1] ** 0.5)
            elif parameter.dim() > 2 and "conv_layers" in name:
                parameter.copy_(2 * noise / (parameter.shape[1] * parameter.shape[2]) ** 0.5)
            elif parameter.dim() > 0:
                parameter.copy_(0.3 * noise)


def write_checkpoint(path: Path, config: dict[str, Any], *, seed: int = 0, **changes: Any) -> Model:
    """Write a checkpoint file as the original's trainer does, and give back the model in it."""
    model = tiny_model(config, seed=seed)
    weights = dict(model.state_dict())
    cfg = {key: value for key, value in config.items() if key in ("task", "model")}
    torch.save({"args": None, "cfg": cfg, "model": weights, "extra_state": {}, **changes}, path)
    return model

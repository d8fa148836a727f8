"""What a pretraining run does, as one frozen value, and the sections of the models that it can make."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from searchkit.errors import UsageError
from searchkit.one_peace.config import Options
from searchkit.one_peace.published import published_settings

__all__ = ["PRESETS", "PretrainSettings", "pretrain_sections", "read_settings", "retrieval_sections"]


@dataclass(frozen=True, slots=True)
class PretrainSettings(Options):
    """One stage of pretraining.

    Attributes:
        modality: "image" for stage 1; "audio" for stage 2, where text tower and shared attention are frozen.
        batch_size: pairs a step, over all processes.
        learning_rate: its peak.
        layer_decay: what each layer's rate is multiplied by, seen from the one above.
        ema_decay: of the averaged weights, which are those that are exported; 0 for none.
        clip_norm: longest gradient; 0 for no limit.
        bf16: run the passes under bfloat16 autocast; weights and reductions stay float32.
        recompute: keep no activations of the layers and compute them again (gradient checkpointing).
        denoising: weight of all denoising losses together; 0 leaves only the contrast between modalities.
        crop_scale: smallest share that an augmented crop keeps; 1 for no augmentation.
        flip: mirror half of the pictures.
        threads: torch's threads a process; 0 leaves its default.
        workers: threads that decode ahead.
        save_every: steps between checkpoints.
        log_every: steps between rows of the log.
        model: changes to the preset's `task` and `model` sections.
        criterion: changes to the weights of the losses.
    """

    section: ClassVar[str] = "settings"

    modality: str = "image"
    preset: str = "nano"
    steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 1e-3
    floor_rate: float = 1e-5
    warmup_steps: int = 100
    weight_decay: float = 0.05
    beta_1: float = 0.9
    beta_2: float = 0.98
    layer_decay: float = 1.0
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    bf16: bool = False
    recompute: bool = False
    denoising: float = 1.0
    crop_scale: float = 0.9
    flip: bool = False
    seed: int = 0
    threads: int = 0
    workers: int = 1
    save_every: int = 200
    log_every: int = 20
    model: Mapping[str, Any] = field(default_factory=dict)
    criterion: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.modality not in ("image", "audio"):
            raise UsageError(f"pretraining pairs text with image or audio, not {self.modality!r}")
        if self.preset not in PRESETS:
            raise UsageError(f"no preset is called {self.preset!r}: {', '.join(PRESETS)}")
        smallest = {"steps": 1, "batch_size": 2, "save_every": 1, "log_every": 1, "warmup_steps": 0}
        for name, least in smallest.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.crop_scale <= 1:
            raise UsageError(f"crop_scale must lie in (0, 1], got {self.crop_scale}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def read_settings(path: Path | None, changes: Mapping[str, Any]) -> PretrainSettings:
    """Settings from a JSON file, with changes that win; None among them says nothing.

    Raises:
        UsageError: the file cannot be read, or names an unknown setting.
        CheckpointError: a setting has the wrong type.
    """
    values: Any = {}
    if path is not None:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
    known = {option.name for option in fields(PretrainSettings)}
    if not isinstance(values, dict) or (values.keys() - known):
        unknown = ", ".join(sorted(values.keys() - known)) if isinstance(values, dict) else "no JSON object"
        raise UsageError(f"{path}: unknown settings: {unknown}", hint=f"known: {', '.join(sorted(known))}")
    given = {name: value for name, value in changes.items() if value is not None}
    return PretrainSettings.from_mapping({**values, **given})


_TRUNK = {
    "magneto_scale_attn": True,
    "scale_attn": False,
    "scale_fc": True,
    "scale_heads": False,
    "dropout": 0.0,
}
_ADAPTER = {"use_attn_bias": True}
_NANO: Mapping[str, Any] = {
    "most_merges": 4000,
    "task": {"patch_image_size": 64, "max_src_length": 24, "max_duration": 2, "audio_mask_length": 2},
    "encoder": {
        **_TRUNK,
        "embed_dim": 192,
        "ffn_embed_dim": 512,
        "layers": 4,
        "attention_heads": 3,
        "use_layer_scale": False,
        "text_adapter": {**_ADAPTER, "bucket_size": 32},
        "image_adapter": {**_ADAPTER, "bucket_size": 4, "vision_encoder_type": "hmlp"},
        "audio_adapter": {
            **_ADAPTER,
            "bucket_size": 64,
            "feature_encoder_spec": "[(64, 20, 10), (96, 4, 4), (192, 4, 4), (256, 8, 8)]",
            "abs_pos_type": "fixed",
        },
    },
    "decoder": {"embed_dim": 96, "ffn_embed_dim": 256, "layers": 1, "attention_heads": 3},
}
_PUBLISHED: Mapping[str, Any] = {
    "most_merges": None,
    "task": {"patch_image_size": 256, "max_src_length": 70, "max_duration": 15},
    # The published models drop no path any more: the rate belongs to the training.
    "encoder": {**published_settings()["model"]["encoder"], "drop_path_rate": 0.4},
    "decoder": {"embed_dim": 768, "ffn_embed_dim": 2048, "layers": 2, "attention_heads": 12},
}
PRESETS: Mapping[str, Mapping[str, Any]] = {"nano": _NANO, "one-peace": _PUBLISHED}
"""Shapes by name: "nano" trains on a CPU, "one-peace" is the published one."""


def pretrain_sections(settings: PretrainSettings) -> dict[str, Any]:
    """The `task`, `model` and `criterion` sections of the model that a run trains."""
    preset = copy.deepcopy(dict(PRESETS[settings.preset]))
    changes = settings.model
    encoder = {**preset["encoder"], **changes.get("encoder", {})}
    encoder["checkpoint_activations"] = settings.recompute
    for name in ("text", "image", "audio"):
        encoder[f"use_{name}_moe"] = name in ("text", settings.modality)
    # A decoder is narrow, has no bias of positions and embeds no raw input.
    bare = {
        name: {**encoder[f"{name}_adapter"], "use_attn_bias": False} for name in ("text", "image", "audio")
    }
    bare["image"]["vision_encoder_type"] = "none"
    bare["audio"] |= {"feature_encoder_spec": None, "abs_pos_type": "fixed"}
    adapters = {f"{name}_adapter": options for name, options in bare.items()}
    decoder = {**encoder, **adapters, "use_layer_scale": False, "drop_path_rate": 0.0, **preset["decoder"]}
    criterion = {"dcl_text_alpha": 0.5, "label_smoothing": 0.1, **settings.criterion}
    if settings.denoising != 1:
        names = ("text", "image", "audio", "vl_text", "vl_image", "al_text", "al_audio")
        defaults = {"dcl_text_alpha": 0.5, "dcl_image_alpha": 1.0, "dcl_audio_alpha": 1.0}
        for name in (f"dcl_{n}_alpha" for n in names):
            criterion[name] = settings.denoising * criterion.get(name, defaults.get(name, 0.5))
    return {
        "most_merges": preset["most_merges"],
        "task": {**preset["task"], **changes.get("task", {})},
        "model": {
            "_name": "one_peace_pretrain",
            "encoder": encoder,
            "decoder": {**decoder, **changes.get("decoder", {})},
            "stage2_pretrain": settings.modality == "audio",
        },
        "criterion": criterion,
    }


def retrieval_sections(
    sections: Mapping[str, Any], modalities: tuple[str, ...], dictionary_size: int
) -> dict[str, Any]:
    """The sections of the retrieval model that a pretrained one becomes."""
    heads: Mapping[tuple[str, ...], str] = {("text", "image"): "vl", ("text", "audio"): "al"}
    encoder = dict(sections["model"]["encoder"])
    for name in ("text", "image", "audio"):
        encoder[f"use_{name}_moe"] = name in modalities
    return {
        "task": {**sections["task"], "head_type": heads.get(modalities, "val")},
        "model": {"_name": "one_peace_retrieval", "copy_rel_pos_table": False, "encoder": encoder},
        "dictionary_size": dictionary_size,
    }

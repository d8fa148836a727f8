"""A model's configuration, read from the `model` and `task` sections that ONE-PEACE checkpoints carry.

It knows the option names and their meaning, not tensors; options without effect on the model are ignored.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from searchkit.errors import CheckpointError

__all__ = [
    "PATCH_PX",
    "CriterionConfig",
    "EncoderConfig",
    "ModelConfig",
    "Options",
    "TaskConfig",
    "frame_count",
    "modalities_of",
    "parse_conv_spec",
]

_HEAD_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "text": ("text",),
        "image": ("image",),
        "audio": ("audio",),
        "vl": ("text", "image"),
        "al": ("text", "audio"),
        "val": ("text", "image", "audio"),
    }
)
_MODEL_KINDS = ("one_peace_retrieval", "one_peace_classify", "one_peace_pretrain")
PATCH_PX = 16

T = TypeVar("T", bound="Options")


def modalities_of(head_type: str) -> tuple[str, ...]:
    """Names of the modalities that a head type holds, in the order in which a joint pass puts them.

    Beside the published types ("val", "vl", "al", "text", "image", "audio"), names joined by "+" are taken,
    such as "text+depth".
    """
    return _HEAD_TYPES.get(head_type) or tuple(name for name in head_type.split("+") if name)


def parse_conv_spec(spec: str | None) -> tuple[tuple[int, int, int], ...]:
    """Read "[(512, 10, 5)] + [(512, 3, 2)] * 4" as (channels, kernel, stride) triples, running no code.

    Raises:
        CheckpointError: the text is anything but lists of integer triples, `+` and `*`.
    """
    if spec is None:
        return ()

    def read(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() as number):
                return number
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [read(element) for element in elements]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return read(left) + read(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                first, second = read(left), read(right)
                if isinstance(second, int) and second > 64:
                    raise ValueError("too many layers")
                return first * second
        raise ValueError("only integers, lists, + and * are understood")

    try:
        rows = read(ast.parse(spec, mode="eval").body)
        return tuple((int(channels), int(kernel), int(stride)) for channels, kernel, stride in rows)
    except (SyntaxError, TypeError, ValueError) as error:
        raise CheckpointError(f"feature_encoder_spec {spec!r} cannot be read: {error}") from error


def frame_count(samples: int, spec: tuple[tuple[int, int, int], ...]) -> int:
    """Frames that a waveform of `samples` gives; 0 when it is too short for one."""
    for _, kernel, stride in spec:
        samples = max(0, (samples - kernel) // stride + 1)
    return samples


class Options:
    """Base of frozen option groups that are read from a mapping by field name."""

    section: ClassVar[str] = "model"

    @classmethod
    def from_mapping(cls: type[T], values: Mapping[str, Any]) -> T:
        """Pick this group's fields out of a mapping; other keys are ignored, missing ones take defaults.

        Raises:
            CheckpointError: a required field is missing, or a value has the wrong type.
        """
        chosen: dict[str, Any] = {}
        for option in fields(cls):  # type: ignore[arg-type]
            if option.name not in values:
                continue
            value = values[option.name]
            kind = str(option.type)
            if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            expected = {"int": int, "float": float, "bool": bool, "str": str}.get(kind)
            wrong = expected is not None and not isinstance(value, expected)
            if wrong or (kind == "int" and isinstance(value, bool)):
                raise CheckpointError(f"config: {cls.section}.{option.name} needs a {kind}, got {value!r}")
            chosen[option.name] = value
        try:
            return cls(**chosen)
        except TypeError as error:
            raise CheckpointError(f"config: the {cls.section} section is incomplete: {error}") from error


@dataclass(frozen=True, slots=True)
class EncoderConfig(Options):
    """A trunk with its adapters. The defaults are the published code's own, which no public model uses.

    Attributes:
        adapters: by modality name, the raw options of its adapter; the adapter itself reads them.
        enabled: by modality name, whether its adapter and feed-forward networks are built.
    """

    section: ClassVar[str] = "encoder"

    embed_dim: int
    ffn_embed_dim: int
    layers: int
    attention_heads: int
    drop_path_rate: float = 0.0
    magneto_scale_attn: bool = False
    scale_attn: bool = True
    scale_fc: bool = True
    scale_heads: bool = True
    use_layer_scale: bool = True
    layer_scale_init_value: float = 1e-2
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    checkpoint_activations: bool = False
    adapters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    enabled: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.embed_dim, self.ffn_embed_dim, self.layers, self.attention_heads) < 1:
            raise CheckpointError("config: widths, layers and heads of an encoder must be at least 1")
        if self.embed_dim % self.attention_heads:
            raise CheckpointError(
                f"config: embed_dim {self.embed_dim} is no multiple of attention_heads {self.attention_heads}"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Read an `encoder` or `decoder` section; every `<name>_adapter` in it describes a modality."""
        read: dict[str, Any] = {
            "adapters": {k.removesuffix("_adapter"): v for k, v in values.items() if k.endswith("_adapter")},
            "enabled": {
                k.removeprefix("use_").removesuffix("_moe"): bool(v)
                for k, v in values.items()
                if k.startswith("use_") and k.endswith("_moe")
            },
        }
        return super(EncoderConfig, cls).from_mapping({**values, **read})


@dataclass(frozen=True, slots=True)
class TaskConfig(Options):
    """What a checkpoint was trained for; `head_type` and `num_classes` may be None for pretraining tasks."""

    section: ClassVar[str] = "task"

    patch_image_size: int = 256
    max_src_length: int = 70
    max_duration: int = 15
    head_type: str | None = None
    num_classes: int | None = None
    use_two_images: bool = False

    def __post_init__(self) -> None:
        if self.patch_image_size < PATCH_PX or self.patch_image_size % PATCH_PX:
            raise CheckpointError(
                f"config: patch_image_size {self.patch_image_size} is no multiple of {PATCH_PX}"
            )


@dataclass(frozen=True, slots=True)
class CriterionConfig(Options):
    """Weights of the pretraining losses."""

    section: ClassVar[str] = "criterion"

    dcl_text_alpha: float = 1.0
    dcl_image_alpha: float = 1.0
    dcl_audio_alpha: float = 1.0
    dcl_vl_text_alpha: float = 0.5
    dcl_vl_image_alpha: float = 0.5
    dcl_al_text_alpha: float = 0.5
    dcl_al_audio_alpha: float = 0.5
    dcl_logit_scale: float = 2.5
    label_smoothing: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelConfig(Options):
    """Everything that decides a model's structure.

    Attributes:
        kind: "one_peace_retrieval", "one_peace_classify" or "one_peace_pretrain".
        modalities: names in the order of a joint pass.
        dictionary_size: rows of the token embedding.
    """

    kind: str
    task: TaskConfig
    encoder: EncoderConfig
    decoder: EncoderConfig | None
    modalities: tuple[str, ...]
    dictionary_size: int = 50264
    copy_rel_pos_table: bool = False
    head_scale_ratio: float = 2.0
    use_pooler: bool = False
    pooler_dropout: float = 0.0
    attn_pooling: bool = True
    use_image_features: bool = False
    logit_scale_init: float = 1 / 0.07
    stage2_pretrain: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, kind: str | None = None) -> Self:
        """Read a whole configuration with its `task` and `model` sections.

        Args:
            config: the mapping; top-level `head_type`, `num_classes`, `use_two_images` and
                `dictionary_size` win over the task's.
            kind: build this kind of model in place of `model._name`.

        Raises:
            CheckpointError: a section or a required option is missing or of the wrong type.
        """
        model, task = config.get("model"), config.get("task")
        if not isinstance(model, Mapping) or not isinstance(task, Mapping):
            raise CheckpointError("config: it needs a `task` and a `model` section")
        names = ("head_type", "num_classes", "use_two_images")
        top = {name: config[name] for name in names if config.get(name) is not None}
        read_task = TaskConfig.from_mapping({**task, **top})
        if not isinstance(model.get("encoder"), Mapping):
            raise CheckpointError("config: model.encoder is missing")
        kind = kind or str(model.get("_name"))
        if kind not in _MODEL_KINDS:
            raise CheckpointError(f"config: model kind {kind!r} is none of {', '.join(_MODEL_KINDS)}")
        encoder = EncoderConfig.from_mapping(model["encoder"])
        decoder = EncoderConfig.from_mapping(model["decoder"]) if kind == "one_peace_pretrain" else None
        # Pretraining tasks leave head_type at its default; the encoder's own switches decide there.
        named = modalities_of("val" if decoder else read_task.head_type or "val")
        modalities = tuple(name for name in named if encoder.enabled.get(name, name in encoder.adapters))
        if not modalities:
            raise CheckpointError(f"config: head_type {read_task.head_type!r} leaves no modality to build")
        values = {k: v for k, v in model.items() if k not in ("encoder", "decoder")}
        values |= {k: config[k] for k in ("dictionary_size",) if k in config}
        return super(ModelConfig, cls).from_mapping(
            {
                **values,
                "kind": kind,
                "task": read_task,
                "encoder": encoder,
                "decoder": decoder,
                "modalities": modalities,
            }
        )

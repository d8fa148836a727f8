"""The published checkpoints by name, and the settings they were trained with; it downloads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from searchkit.errors import ModelNotFound

__all__ = ["PUBLISHED", "PublishedCheckpoint", "published", "published_settings"]

_BASE = "http://one-peace-shanghai.oss-accelerate.aliyuncs.com/"
_TUNED = "https://one-peace-shanghai.oss-accelerate.aliyuncs.com/one_peace_checkpoints/"


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A checkpoint that the authors of ONE-PEACE serve.

    Attributes:
        name: what `models pull` takes, and the name of the converted folder.
        url: where it is; the publisher gives no checksum.
        about: one line for people.
        hub_name: the name that the original's `from_pretrained` takes, "" for none.
        sha256: known checksum, "" where it is recorded on first use.
    """

    name: str
    url: str
    about: str
    hub_name: str = ""
    sha256: str = ""

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


PUBLISHED: tuple[PublishedCheckpoint, ...] = (
    PublishedCheckpoint(
        "one-peace", f"{_BASE}one-peace.pt", "the base model, 4B: text, images, sounds (15.5 GB)", "ONE-PEACE"
    ),
    PublishedCheckpoint(
        "one-peace-audio", f"{_TUNED}finetune_al_retrieval.pt", "tuned for sounds and text: AudioCaps, Clotho"
    ),
    PublishedCheckpoint("one-peace-coco", f"{_TUNED}finetune_coco.pt", "tuned for images and text: COCO"),
    PublishedCheckpoint(
        "one-peace-flickr", f"{_TUNED}finetune_flickr.pt", "tuned for images and text: Flickr30K"
    ),
    PublishedCheckpoint(
        "one-peace-grounding",
        f"{_TUNED}finetune_refcocog.pt",
        "finds what a text names in an image: `searchkit ground`",
        "ONE-PEACE_Grounding",
    ),
    PublishedCheckpoint(
        "one-peace-vggsound",
        f"{_TUNED}finetune_vggsound.pt",
        "names sounds, 309 classes: `searchkit classify`",
        "ONE-PEACE_VGGSound",
    ),
)


def published(name: str) -> PublishedCheckpoint:
    """A published checkpoint by its name here or the original's name.

    Raises:
        ModelNotFound: there is none of that name.
    """
    for checkpoint in PUBLISHED:
        if name in (checkpoint.name, checkpoint.hub_name):
            return checkpoint
    names = ", ".join(checkpoint.name for checkpoint in PUBLISHED)
    raise ModelNotFound(f"no checkpoint is called {name!r}", hint=f"there are {names}")


def published_settings(
    *,
    kind: str = "one_peace_retrieval",
    head_type: str = "val",
    layers: int = 40,
    patch_image_size: int = 256,
    num_classes: int | None = None,
) -> dict[str, Any]:
    """The `task` and `model` sections of the public 4B configuration, for a checkpoint saved without them.

    Args:
        kind: "one_peace_retrieval" or "one_peace_classify".
        head_type: which modalities are built, such as "val", "vl" or "audio".
        layers: 40 in the published models; fewer give the same widths at a smaller size.
        patch_image_size: side of the images in pixels; 384 for grounding.
        num_classes: of a classification model: 4 for boxes, 309 for VGGSound.
    """
    adapter = {"layernorm_embedding": False, "add_type_embedding": False, "use_attn_bias": True}
    encoder = {
        "embed_dim": 1536,
        "ffn_embed_dim": 6144,
        "layers": layers,
        "attention_heads": 24,
        "text_adapter": {**adapter, "bucket_size": 256},
        "image_adapter": {**adapter, "bucket_size": 16, "vision_encoder_type": "hmlp"},
        "audio_adapter": {
            **adapter,
            "bucket_size": 512,
            "feature_encoder_spec": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2",
            "abs_pos_type": "conv",
            "conv_pos_depth": 5,
            "conv_pos_width": 95,
            "conv_pos_groups": 16,
            "conv_pos_pre_ln": False,
        },
        "magneto_scale_attn": True,
        "scale_attn": False,
        "scale_fc": True,
        "scale_heads": False,
        "use_layer_scale": True,
        "layer_scale_init_value": 1e-6,
        "dropout": 0.0,
    }
    task = {"patch_image_size": patch_image_size, "head_type": head_type, "num_classes": num_classes}
    return {"task": task, "model": {"_name": kind, "encoder": encoder, "copy_rel_pos_table": False}}

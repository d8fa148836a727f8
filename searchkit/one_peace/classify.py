"""The classification models: audio classes, grounding boxes, VQA, NLVR2 and AQA, by one kind of head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from searchkit.errors import EncoderError
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.layers import layer_norm
from searchkit.one_peace.trunk import Encoded
from searchkit.one_peace.wrapper import EncoderWrapper

__all__ = ["AttentionPooling", "ClassifyHead", "ClassifyModel"]

INPUT_NAMES = {
    "text": ("src_tokens",),
    "image": ("src_images",),
    "audio": ("src_audios", "audio_padding_masks"),
}


class AttentionPooling(nn.Module):
    """One learned query per head over a sequence; scores are not divided by the root of the head's width."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Parameter(torch.empty(1, 1, heads, dim // heads))
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        """Pool (B, T, D) with padding_mask (B, T) to (B, D)."""
        split = (*x.shape[:2], self.heads, -1)
        key, value = self.k_proj(x).view(split), self.v_proj(x).view(split)
        scores = torch.einsum("bthd,hd->bht", key, self.q[0, 0]).float()
        scores = scores.masked_fill(padding_mask[:, None, :], float("-inf"))
        pooled = torch.einsum("bht,bthd->bhd", scores.softmax(-1).to(value.dtype), value)
        out: Tensor = self.out_proj(pooled.flatten(1))
        return out


class ClassifyHead(nn.Module):
    """Pooling, an optional tanh layer, and a two-layer classifier."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.encoder.embed_dim
        classes = config.task.num_classes
        if classes is None or classes < 1:
            raise EncoderError(f"a classification model needs num_classes >= 1, got {classes}")
        # The published model builds this norm also where it is not used.
        self.norm = layer_norm(dim)
        pooling = config.attn_pooling
        self.attn_pooling_func = AttentionPooling(dim, config.encoder.attention_heads) if pooling else None
        self.pooler = (
            nn.Sequential(nn.Dropout(config.pooler_dropout), nn.Linear(dim, dim), nn.Tanh())
            if config.use_pooler
            else None
        )
        width = dim * (2 if config.task.use_two_images else 1)
        hidden = int(dim * config.head_scale_ratio)
        self.classifier = nn.Sequential(
            nn.Linear(width, hidden), layer_norm(hidden), nn.GELU(), nn.Linear(hidden, classes)
        )

    def pool(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        """One feature (B, D) from a modality's positions (B, T, D), cls first."""
        if self.attn_pooling_func is None:
            feature = x[:, 0]
        else:
            feature = self.norm(self.attn_pooling_func(x[:, 1:], padding_mask[:, 1:]))
        return feature if self.pooler is None else self.pooler(feature)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, classes)."""
        logits: Tensor = self.classifier(features)
        return logits


class ClassifyModel(nn.Module):
    """One or two modalities to logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder_wrapper = EncoderWrapper(config, config.encoder, config.modalities, table_per_layer=True)
        self.classify_head = ClassifyHead(config)
        self.pooled_modality = self._choose_pooled()

    def _choose_pooled(self) -> str:
        names = self.config.modalities
        if "text" in names and not self.config.use_image_features:
            return "text"
        return next((name for name in ("image", "audio") if name in names), names[0])

    def encode(self, *, is_second_image: bool = False, **inputs: Any) -> Encoded:
        """Run the encoder on the arguments of all its modalities, joined."""
        by_modality: dict[str, dict[str, Any]] = {}
        for name in self.config.modalities:
            wanted = INPUT_NAMES.get(name, (f"src_{name}s",))
            missing = [key for key in wanted if inputs.get(key) is None]
            if missing:
                raise EncoderError(f"this model needs {', '.join(missing)} beside its other inputs")
            by_modality[name] = {key: inputs[key] for key in wanted}
        if is_second_image:
            by_modality["image"]["is_second_image"] = True
        encoded: Encoded = self.encoder_wrapper(by_modality)
        return encoded

    def features(self, encoded: Encoded) -> Tensor:
        """The pooled feature (B, D) of one pass."""
        name = self.pooled_modality
        return self.classify_head.pool(encoded.of(name), encoded.mask_of(name))

    def forward(self, *, src_images_2: Tensor | None = None, **inputs: Any) -> Tensor:
        """Logits (B, classes).

        Args:
            src_images_2: the second picture of models with two images.
            **inputs: `src_tokens`, `src_images`, `src_audios` and `audio_padding_masks`, as the model needs.

        Raises:
            EncoderError: an input is missing, or a second image does not fit the model.
        """
        if (src_images_2 is not None) != self.config.task.use_two_images:
            raise EncoderError("src_images_2 is for models with two images, which need it")
        feature = self.features(self.encode(**inputs))
        if src_images_2 is not None:
            second = self.encode(**{**inputs, "src_images": src_images_2}, is_second_image=True)
            feature = torch.cat([feature, self.features(second)], dim=1)
        logits: Tensor = self.classify_head(feature)
        return logits

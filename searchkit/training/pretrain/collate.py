"""Decoded pairs as the tensors of one training step, with the masks of every masked pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from searchkit.one_peace.config import PATCH_PX, Options, TaskConfig
from searchkit.one_peace.tokenizer import pad_ids
from searchkit.one_peace.waveforms import pad_waveforms
from searchkit.training.pretrain.masks import Mask, mask_frames, mask_patches, mask_words, stack_masks
from searchkit.training.pretrain.samples import Sample

__all__ = ["MaskShares", "collate"]


@dataclass(frozen=True, slots=True)
class MaskShares(Options):
    """How much each masked pass hides; the defaults are the published training's."""

    section: ClassVar[str] = "task"

    text_mask_ratio: float = 0.15
    image_mask_ratio: float = 0.75
    vl_text_mask_ratio: float = 0.4
    vl_image_mask_ratio: float = 0.6875
    audio_mask_ratio: float = 0.55
    al_text_mask_ratio: float = 0.4
    al_audio_mask_ratio: float = 0.45
    audio_mask_length: int = 5


def collate(
    samples: Sequence[Sample],
    modality: str,
    task: TaskConfig,
    spec: tuple[tuple[int, int, int], ...],
    shares: MaskShares,
    chance: np.random.Generator,
) -> dict[str, Tensor]:
    """One batch for `pretrain_loss`.

    Args:
        samples: decoded pairs.
        modality: "image" or "audio".
        task: the size of pictures.
        spec: the waveform encoder's convolutions.
        shares: how much is hidden.
        chance: decides what.
    """
    tokens = pad_ids([sample.ids for sample in samples])
    media = [sample.media for sample in samples]
    batch = {"src_tokens": torch.from_numpy(tokens)}
    pair = "vl" if modality == "image" else "al"
    masks: dict[str, tuple[list[Mask], int]] = {}

    def hide(name: str, ratio: float) -> None:
        if name.endswith("text"):
            rows, length = [mask_words(s.words, ratio, chance) for s in samples], tokens.shape[1] + 1
        elif modality == "image":
            count = (task.patch_image_size // PATCH_PX) ** 2
            rows, length = [mask_patches(count, ratio, chance) for _ in samples], count + 1
        else:
            span = shares.audio_mask_length
            rows = [mask_frames(int(count), ratio, span, chance) for count in frames]
            length = int(frames.max()) + 1
        masks[name] = (rows, length)

    frames = np.zeros(0, dtype=np.int64)
    if modality == "image":
        batch["src_images"] = torch.from_numpy(np.stack(media))
        hide("text", shares.text_mask_ratio)
        hide("image", shares.image_mask_ratio)
        hide("vl_text", shares.vl_text_mask_ratio)
        hide("vl_image", shares.vl_image_mask_ratio)
    else:
        waveforms, padding = pad_waveforms(media, spec)
        frames = (~padding).sum(axis=1) - 1
        batch["src_audios"] = torch.from_numpy(waveforms)
        batch["audio_padding_masks"] = torch.from_numpy(padding)
        hide("audio", shares.audio_mask_ratio)
        hide(f"{pair}_text", shares.al_text_mask_ratio)
        hide(f"{pair}_audio", shares.al_audio_mask_ratio)
    for name, (rows, length) in masks.items():
        hidden, kept = stack_masks(rows, length)
        batch[f"{name}_mask_indices"] = torch.from_numpy(hidden)
        batch[f"{name}_preserve_ids"] = torch.from_numpy(kept)
    batch["caption_ids"] = torch.tensor([sample.caption_id for sample in samples])
    batch["media_ids"] = torch.tensor([sample.media_id for sample in samples])
    return batch

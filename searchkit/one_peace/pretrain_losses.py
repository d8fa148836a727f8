"""The pretraining objective: contrast between modalities, and denoising contrast of masked positions.

Paper: arXiv 2305.11172, section 3.3. On one process; gathering over several is the caller's affair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from searchkit.errors import EncoderError
from searchkit.one_peace.config import CriterionConfig
from searchkit.one_peace.pretrain import PretrainModel

__all__ = ["PretrainLoss", "contrast", "denoising_contrast", "pretrain_loss"]

_PAIR_LETTER = {"image": "vl", "audio": "al"}


@dataclass(frozen=True)
class PretrainLoss:
    """The objective with its parts.

    Attributes:
        total: what to minimise.
        parts: by name, such as "itc_loss" and "dcl_vl_text_loss"; not weighted.
        correct: by name, such as "i2t_ncorrect".
        logits: unit vectors (B, dim) by modality.
        teachers: features (B, T, dim) by pass and modality: ("text", "text"), ("vl", "image").
        students: the same for the masked passes.
    """

    total: Tensor
    parts: dict[str, Tensor]
    correct: dict[str, Tensor]
    logits: dict[str, Tensor]
    teachers: dict[tuple[str, str], Tensor]
    students: dict[tuple[str, str], Tensor]


def contrast(left: Tensor, right: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """InfoNCE in both directions; gradient flows through the asking side only.

    Returns:
        The mean of both losses, and how many rows of each side found their partner.
    """
    target = torch.arange(len(left), device=left.device)
    forth, back = scale * left @ right.detach().t(), scale * right @ left.detach().t()
    loss = (F.cross_entropy(forth, target) + F.cross_entropy(back, target)) / 2
    return loss, forth.argmax(1).eq(target).sum(), back.argmax(1).eq(target).sum()


def denoising_contrast(
    student: Tensor, teacher: Tensor, masked: Tensor, padding: Tensor, *, scale: float, label_smoothing: float
) -> Tensor:
    """Each masked position must find its own unmasked feature among all positions of the batch but cls.

    Args:
        student: (B, T, D) predicted features.
        teacher: (B, T, D) features of an unmasked pass; takes no gradient.
        masked: (B, T) True where a feature was predicted from context.
        padding: (B, T) True at padding.
        scale: what cosines are multiplied by.
        label_smoothing: share of the target spread over the other candidates.
    """
    candidate = ~padding
    candidate[:, 0] = False
    numbers = torch.full(candidate.shape, -1, dtype=torch.long, device=candidate.device)
    numbers[candidate] = torch.arange(int(candidate.sum()), device=candidate.device)
    queries = F.normalize(student[masked].float(), dim=-1)
    keys = F.normalize(teacher.detach()[candidate].float(), dim=-1)
    log_probs = (scale * queries @ keys.t()).log_softmax(-1)
    right = -log_probs.gather(1, numbers[masked][:, None]).squeeze(1)
    spread = label_smoothing / (len(keys) - 1)
    return ((1 - label_smoothing - spread) * right - spread * log_probs.sum(1)).mean()


def pretrain_loss(
    model: PretrainModel, criterion: CriterionConfig, inputs: Mapping[str, Tensor]
) -> PretrainLoss:
    """The whole objective for one batch of pairs: text with image, or text with audio.

    Args:
        model: a pretraining model of two modalities.
        criterion: the weights.
        inputs: `src_tokens`; `src_images`, or `src_audios` with `audio_padding_masks`; and for every masked
            pass (`text`, `image`, `vl_text`, `vl_image`; `audio`, `al_text`, `al_audio`) its
            `<pass>_preserve_ids` and `<pass>_mask_indices`.

    Raises:
        EncoderError: the model's modalities are not text and one other.
    """
    names = model.config.modalities
    if len(names) != 2 or names[0] != "text" or names[1] not in _PAIR_LETTER:
        raise EncoderError(f"pretraining pairs text with image or audio, this model has {', '.join(names)}")
    other = names[1]
    pair = _PAIR_LETTER[other]
    given = {"text": {"src_tokens": inputs["src_tokens"]}, other: {f"src_{other}s": inputs[f"src_{other}s"]}}
    if other == "audio":
        given[other]["audio_padding_masks"] = inputs["audio_padding_masks"]

    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    scale = model.logit_scale.exp()
    with torch.set_grad_enabled(torch.is_grad_enabled() and other == "image"):
        text = model.encode({"text": given["text"]})
        text_logits = model.project("text", text)
    single = model.encode({other: given[other]})
    other_logits = model.project(other, single)
    with torch.no_grad():
        joint = model.encode(given)

    letter = other[0]
    loss, forth, back = contrast(other_logits, text_logits, scale)
    parts = {f"{letter}tc_loss": loss}
    teachers = {("text", "text"): text.x, (other, other): single.x}
    teachers |= {(pair, name): joint.of(name) for name in names}
    padding = {name: joint.mask_of(name) for name in names}
    students: dict[tuple[str, str], Tensor] = {}
    total = loss
    for masked_pass in (("text", "image") if other == "image" else ("audio",)) + (pair,):
        used = {name: given[name] for name in (names if masked_pass == pair else (masked_pass,))}
        prefix = f"{pair}_" if masked_pass == pair else ""
        kept = {name: inputs[f"{prefix}{name}_preserve_ids"] for name in used}
        predicted = model.predict_masked(used, kept)
        for name, features in predicted.items():
            students[masked_pass, name] = features
            # In the audio stage the joint pass teaches the audio pass as well.
            teaching = pair if other == "audio" else masked_pass
            part = denoising_contrast(
                features,
                teachers[teaching, name],
                inputs[f"{prefix}{name}_mask_indices"].bool(),
                padding[name],
                scale=criterion.dcl_logit_scale,
                label_smoothing=criterion.label_smoothing,
            )
            parts[f"dcl_{prefix}{name}_loss"] = part
            total = total + getattr(criterion, f"dcl_{prefix}{name}_alpha") * part
    correct = {f"{letter}2t_ncorrect": forth, f"t2{letter}_ncorrect": back}
    return PretrainLoss(total, parts, correct, {"text": text_logits, other: other_logits}, teachers, students)

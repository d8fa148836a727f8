"""The pretraining objective: contrast between modalities, and denoising contrast of masked positions.

Paper: arXiv 2305.11172, section 3.3. Over several processes every loss is that of the joined batch: each rank
computes its own rows' share, and the mean over the ranks, which is what DistributedDataParallel takes of the
gradients, is the loss of one process with all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from searchkit.errors import EncoderError
from searchkit.one_peace.config import CriterionConfig
from searchkit.one_peace.pretrain import PretrainModel
from searchkit.one_peace.ranks import gather_rows, total, world_size
from searchkit.one_peace.trunk import Encoded

__all__ = ["PretrainLoss", "contrast", "denoising_contrast", "pretrain_loss", "same_rows"]

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


def same_rows(*ids: Tensor) -> Tensor:
    """Which pairs of a batch show or say the same: (B, all B) True where any of the ids agrees.

    Args:
        *ids: (B,) integers, such as numbers of captions or of files.
    """
    same: Tensor | None = None
    for own in ids:
        equal = own[:, None] == gather_rows(own)[0][None, :]
        same = equal if same is None else same | equal
    assert same is not None
    return same


def contrast(
    left: Tensor, right: Tensor, scale: Tensor, same: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """InfoNCE in both directions against all ranks' rows; gradient flows through the asking side only.

    Args:
        left: (B, D) unit rows.
        right: (B, D) unit rows, the partners.
        scale: what cosines are multiplied by.
        same: (B, all B) True where a row is no negative of another, as equal captions are not; `same_rows`
            makes it. A row's own partner always counts.

    Returns:
        The mean of both losses, and how many rows of each side found their partner.
    """
    all_left, start = gather_rows(left.float())
    all_right, _ = gather_rows(right.float())
    target = torch.arange(len(left), device=left.device) + start
    forth = scale * left.float() @ all_right.detach().t()
    back = scale * right.float() @ all_left.detach().t()
    if same is not None:
        others = same.scatter(1, target[:, None], False)
        forth, back = forth.masked_fill(others, -math.inf), back.masked_fill(others, -math.inf)
    loss = (F.cross_entropy(forth, target) + F.cross_entropy(back, target)) / 2
    if world_size() > 1:
        loss = loss * (world_size() * len(left) / len(all_left))
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
    keys, start = gather_rows(F.normalize(teacher.detach()[candidate].float(), dim=-1))
    numbers = torch.full(candidate.shape, -1, dtype=torch.long, device=candidate.device)
    numbers[candidate] = torch.arange(int(candidate.sum()), device=candidate.device) + start
    queries = F.normalize(student[masked].float(), dim=-1)
    log_probs = (scale * queries @ keys.t()).log_softmax(-1)
    right = -log_probs.gather(1, numbers[masked][:, None]).squeeze(1)
    spread = label_smoothing / (len(keys) - 1)
    losses = (1 - label_smoothing - spread) * right - spread * log_probs.sum(1)
    if world_size() == 1:
        return losses.mean()
    everywhere = total(torch.tensor(len(losses), device=losses.device))
    return losses.sum() * (world_size() / everywhere)


def pretrain_loss(
    model: PretrainModel, criterion: CriterionConfig, inputs: Mapping[str, Tensor]
) -> PretrainLoss:
    """The whole objective for one batch of pairs: text with image, or text with audio.

    Args:
        model: a pretraining model of two modalities.
        criterion: the weights.
        inputs: `src_tokens`; `src_images`, or `src_audios` with `audio_padding_masks`; and for every masked
            pass (`text`, `image`, `vl_text`, `vl_image`; `audio`, `al_text`, `al_audio`) its
            `<pass>_preserve_ids` and `<pass>_mask_indices`. Optional: `caption_ids` and `media_ids`, (B,);
            rows that agree in one are no negatives of each other.

    A masked pass whose weight is 0 is not computed, nor its inputs needed.

    Raises:
        EncoderError: the model's modalities are not text and one other.
    """
    names = model.config.modalities
    if len(names) != 2 or names[0] != "text" or names[1] not in _PAIR_LETTER:
        raise EncoderError(f"pretraining pairs text with image or audio, this model has {', '.join(names)}")
    other = names[1]
    given = {"text": {"src_tokens": inputs["src_tokens"]}, other: {f"src_{other}s": inputs[f"src_{other}s"]}}
    if other == "audio":
        given[other]["audio_padding_masks"] = inputs["audio_padding_masks"]
        # Every pass sees the same frames before positions, and the convolutions cost most of a step.
        given[other]["frames"] = model.embed_frames(inputs["src_audios"])

    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    scale = model.logit_scale.exp()
    with torch.set_grad_enabled(torch.is_grad_enabled() and other == "image"):
        text = model.encode({"text": given["text"]})
        text_logits = model.project("text", text)
    single = model.encode({other: given[other]})
    other_logits = model.project(other, single)
    letter = other[0]
    ids = [inputs[name] for name in ("caption_ids", "media_ids") if name in inputs]
    # The reductions stay in float32 where the passes run under autocast.
    with torch.autocast(scale.device.type, enabled=False):
        same = same_rows(*ids) if ids else None
        loss, forth, back = contrast(other_logits, text_logits, scale, same)
    parts = {f"{letter}tc_loss": loss}
    correct = {f"{letter}2t_ncorrect": forth, f"t2{letter}_ncorrect": back}
    teachers = {("text", "text"): text.x, (other, other): single.x}
    students: dict[tuple[str, str], Tensor] = {}
    result = PretrainLoss(
        loss, parts, correct, {"text": text_logits, other: other_logits}, teachers, students
    )
    return _add_denoising(result, model, criterion, inputs, given, (text, single))


def _add_denoising(
    contrasted: PretrainLoss,
    model: PretrainModel,
    criterion: CriterionConfig,
    inputs: Mapping[str, Tensor],
    given: Mapping[str, Mapping[str, Tensor]],
    unmasked: tuple[Encoded, Encoded],
) -> PretrainLoss:
    """Add the masked passes that have a weight."""
    names = model.config.modalities
    other = names[1]
    pair = _PAIR_LETTER[other]
    alone = ("text", "image") if other == "image" else ("audio",)
    weights = {name: getattr(criterion, f"dcl_{name}_alpha") for name in alone}
    joint_weights = {name: getattr(criterion, f"dcl_{pair}_{name}_alpha") for name in names}
    passes = [name for name in alone if weights[name]] + [pair] * any(joint_weights.values())
    padding = {name: encoded.mask_of(name) for name, encoded in zip(names, unmasked, strict=True)}
    if passes and (pair in passes or other == "audio"):
        with torch.no_grad():
            joint = model.encode(given)
        contrasted.teachers.update({(pair, name): joint.of(name) for name in names})
    total_loss = contrasted.total
    for masked_pass in passes:
        used = {name: given[name] for name in (names if masked_pass == pair else (masked_pass,))}
        prefix = f"{pair}_" if masked_pass == pair else ""
        kept = {name: inputs[f"{prefix}{name}_preserve_ids"] for name in used}
        predicted = model.predict_masked(used, kept)
        for name, features in predicted.items():
            contrasted.students[masked_pass, name] = features
            # In the audio stage the joint pass teaches the audio pass as well.
            teaching = pair if other == "audio" else masked_pass
            with torch.autocast(features.device.type, enabled=False):
                part = denoising_contrast(
                    features,
                    contrasted.teachers[teaching, name],
                    inputs[f"{prefix}{name}_mask_indices"].bool(),
                    padding[name],
                    scale=criterion.dcl_logit_scale,
                    label_smoothing=criterion.label_smoothing,
                )
            contrasted.parts[f"dcl_{prefix}{name}_loss"] = part
            weight = joint_weights[name] if masked_pass == pair else weights[name]
            total_loss = total_loss + weight * part
    return replace(contrasted, total=total_loss)

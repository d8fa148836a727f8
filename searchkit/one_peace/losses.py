"""Losses of fine-tuning for classes, several labels, choices and boxes; sums over the batch but for boxes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["box_loss", "choice_loss", "class_loss", "count_correct", "multi_label_loss"]


def class_loss(logits: Tensor, target: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits (B, C), summed; target is (B,) classes, or (B, C) probabilities."""
    if target.dim() == 2:
        return -(target * logits.log_softmax(-1)).sum()
    return F.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction="sum")


def multi_label_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy of logits (B, C) with soft targets (B, C), summed."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum")


def choice_loss(logits: Tensor, target: Tensor, *, margin: float = 1.0) -> Tensor:
    """Hinge loss over choices: logits (B, choices), target (B,), summed; the right choice counts as well."""
    right = logits.gather(1, target[:, None])
    return (margin + logits - right).clamp(min=0).sum()


def count_correct(logits: Tensor, target: Tensor) -> Tensor:
    """How many rows are right; with soft targets (B, C), the summed target of the best class."""
    best = logits.argmax(1)
    return target.gather(1, best[:, None]).sum() if target.dim() == 2 else best.eq(target).sum()


def box_loss(logits: Tensor, target: Tensor) -> Tensor:
    """L1 plus generalised IoU loss (arXiv 1902.09630) for boxes x0, y0, x1, y1 as fractions.

    Args:
        logits: (B, 4), before the sigmoid.
        target: (B, 4).

    Returns:
        The L1 sum over B, plus the mean of 1 - GIoU over predictions with x0 < x1 and y0 < y1; NaN where no
        prediction is so.
    """
    boxes = logits.sigmoid()
    distance = F.l1_loss(boxes, target, reduction="sum") / len(target)
    well_formed = (boxes[:, :2] < boxes[:, 2:]).all(1)
    return distance + (1 - generalized_iou(boxes[well_formed], target[well_formed])).mean()


def generalized_iou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU of (N, 4) boxes pair by pair, (N,)."""
    shared = torch.min(first[:, 2:], second[:, 2:]) - torch.max(first[:, :2], second[:, :2])
    overlap = shared.clamp(min=0).prod(1)
    union = (first[:, 2:] - first[:, :2]).prod(1) + (second[:, 2:] - second[:, :2]).prod(1) - overlap
    hull = (torch.max(first[:, 2:], second[:, 2:]) - torch.min(first[:, :2], second[:, :2])).prod(1)
    return overlap / union - (hull - union) / hull

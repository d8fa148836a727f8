"""Which positions a masked pass hides: whole words, single patches, spans of frames; position 0 is cls.

Paper: arXiv 2305.11172, section 3.3. Shares of what is hidden are the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Mask", "mask_frames", "mask_patches", "mask_words", "stack_masks"]

Mask = npt.NDArray[np.bool_]


def mask_words(words: Sequence[int], share: float, chance: np.random.Generator) -> Mask:
    """Hide whole words of a text of `len(words)` tokens and eos: (tokens + 2,), cls and eos never hidden."""
    numbers = np.asarray(words)
    distinct = np.unique(numbers)
    hidden = chance.permutation(distinct)[: max(1, round(len(distinct) * share))]
    return np.concatenate([[False], np.isin(numbers, hidden), [False]])


def mask_patches(count: int, share: float, chance: np.random.Generator) -> Mask:
    """Hide patches: (count + 1,)."""
    mask = np.zeros(count + 1, dtype=np.bool_)
    mask[1 + chance.permutation(count)[: max(1, round(count * share))]] = True
    return mask


def mask_frames(count: int, share: float, span: int, chance: np.random.Generator) -> Mask:
    """Hide spans of frames that may overlap, and uncover single ones to the exact share: (count + 1,)."""
    wanted = max(1, round(count * share))
    span = min(span, count)
    mask = np.zeros(count + 1, dtype=np.bool_)
    for start in chance.permutation(count - span + 1):
        if mask.sum() >= wanted:
            break
        mask[1 + start : 1 + start + span] = True
    surplus = int(mask.sum()) - wanted
    if surplus > 0:
        mask[chance.permutation(np.flatnonzero(mask))[:surplus]] = False
    return mask


def stack_masks(masks: Sequence[Mask], length: int) -> tuple[Mask, npt.NDArray[np.int64]]:
    """Masks of different lengths as one batch.

    Returns:
        (B, length) True where hidden, False at padding; and (B, P) positions that are kept, -1 as padding.
    """
    hidden = np.zeros((len(masks), length), dtype=np.bool_)
    kept = [np.flatnonzero(~mask) for mask in masks]
    ids = np.full((len(masks), max(map(len, kept))), -1, dtype=np.int64)
    for row, (mask, positions) in enumerate(zip(masks, kept, strict=True)):
        hidden[row, : len(mask)] = mask
        ids[row, : len(positions)] = positions
    return hidden, ids

"""Train the head from image features into the space, against the captions of drawings; knows no files.

A linear map, trained with a contrastive loss (CLIP, Radford et al., 2021) in which equal captions are no
negatives of each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .arrays import Array

EPOCHS, BATCH, WARM_UP_STEPS = 16, 256, 30
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1e-3, 0.05, 0.3
TEMPERATURE = 0.1
MAIN_CAPTION_SHARE = 0.6
DEVIATION_FLOOR = 0.02


@dataclass(frozen=True)
class HeadWeights:
    """What the runtime multiplies square roots of features with; standardisation is folded in."""

    weight: Array
    bias: Array


class Head(torch.nn.Module):
    """Standardised roots of features (N, f) to vectors (N, d), not normalised."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.drop = torch.nn.Dropout(DROPOUT)
        self.straight = torch.nn.Linear(features, dim)
        torch.nn.init.normal_(self.straight.weight, std=0.01)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """A part of the features is left out at random while training."""
        return torch.as_tensor(self.straight(self.drop(rows)))


def train_head(
    features: Array, captions: Sequence[Sequence[int]], texts: Array, *, seed: int = 0, threads: int = 1
) -> HeadWeights:
    """Fit a head.

    Args:
        features: (N, f) features of the drawings, non-negative.
        captions: rows of `texts` that tell of each drawing, the main caption first.
        texts: (T, d) unit vectors of the captions in the space.
        seed: of the initial weights, the order of the drawings and the choice of captions.
        threads: more or fewer change the last digits of the result.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    roots = np.sqrt(np.maximum(features, 0)).astype(np.float32)
    mean, deviation = roots.mean(axis=0), roots.std(axis=0) + DEVIATION_FLOOR
    rows, targets = torch.from_numpy((roots - mean) / deviation), torch.from_numpy(texts)
    head = Head(features.shape[1], texts.shape[1])
    optimiser = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * (len(rows) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(rows))
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            chosen = torch.tensor([_caption(captions[index], rng) for index in batch])
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * _schedule(step, steps)
            loss = contrastive_loss(head(rows[batch]), targets[chosen], chosen)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
    return _folded(head, mean, deviation)


def contrastive_loss(rows: torch.Tensor, texts: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Cross-entropy both ways between drawings (B, d) and their captions (B, d)."""
    scores = torch.nn.functional.normalize(rows, dim=1) @ texts.T / TEMPERATURE
    others = ~torch.eye(len(chosen), dtype=torch.bool)
    scores = scores.masked_fill((chosen[:, None] == chosen[None]) & others, -1e4)
    own = torch.arange(len(chosen))
    across, down = (torch.nn.functional.cross_entropy(s, own) for s in (scores, scores.T))
    return (across + down) / 2


def _caption(captions: Sequence[int], rng: np.random.Generator) -> int:
    main = rng.random() < MAIN_CAPTION_SHARE
    return int(captions[0] if main else captions[int(rng.integers(len(captions)))])


def _schedule(step: int, steps: int) -> float:
    return float(min(1.0, (step + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * np.cos(np.pi * step / steps)))


def _folded(head: Head, mean: Array, deviation: Array) -> HeadWeights:
    weight = head.straight.weight.detach().numpy().T / deviation[:, None]
    return HeadWeights(weight, head.straight.bias.detach().numpy() - mean @ weight)

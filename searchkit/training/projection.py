"""A linear map for each modality on frozen embeddings, fitted by contrast with NumPy alone.

Each map starts as the identity and moves as far as pairs that it does not train on get better by it. Words
keep their vectors wherever the pairs hold anything else, so that what was aligned to words before stays
aligned to them. The loss is InfoNCE in both directions (van den Oord et al., arXiv 1807.03748) in which all
partners of a side count, and pairs that do not match are further candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.encoders.adapted import HeadMap
from searchkit.modality import Modality
from searchkit.training.heldout import retrieval, split_pairs
from searchkit.training.pairs import Pair, Side
from searchkit.types import FloatArray

__all__ = ["ProjectionOptions", "fit_projection", "map_rows", "trained_modalities"]

Progress = Callable[[str, int, int], None]
_FEWEST_TO_CHOOSE = 20


@dataclass(frozen=True, slots=True)
class ProjectionOptions:
    """How to fit.

    Attributes:
        epochs: passes over the pairs, at most.
        batch_size: pairs at once.
        learning_rate: of Adam (Kingma and Ba, ICLR 2015).
        decay: pull towards the identity.
        scale: what cosines are multiplied by.
        seed: order of the pairs, and which of them choose the epoch.
    """

    epochs: int = 60
    batch_size: int = 256
    learning_rate: float = 1e-3
    decay: float = 1e-3
    scale: float = 20.0
    seed: int = 0


def trained_modalities(pairs: Sequence[Pair]) -> tuple[Modality, ...]:
    """Whose maps move: all modalities of the pairs but words, unless there is nothing else."""
    present = {side.modality for pair in pairs for side in (pair.left, pair.right)}
    return tuple(sorted(present - {Modality.TEXT} or present))


def map_rows(maps: Mapping[Modality, HeadMap], rows: Mapping[Side, FloatArray]) -> dict[Side, FloatArray]:
    """Vectors (dim,) of sides through the maps of their modalities."""
    return {
        side: maps[side.modality](row[None])[0] if side.modality in maps else row
        for side, row in rows.items()
    }


def fit_projection(
    pairs: Sequence[Pair],
    rows: Mapping[Side, FloatArray],
    options: ProjectionOptions,
    progress: Progress | None = None,
) -> tuple[dict[Modality, HeadMap], list[dict[str, Any]]]:
    """Fit the maps.

    Args:
        pairs: to train on.
        rows: unit vectors (dim,) of their sides.
        options: how.
        progress: told the step, how much of it is done, and how much there is.

    Returns:
        The maps by modality, and the curve: loss and score of each epoch.
    """
    dim = len(next(iter(rows.values())))
    moving = trained_modalities(pairs)
    maps = {modality: np.zeros((dim + 1, dim)) for modality in moving}
    adam = {modality: _Adam((dim + 1, dim), options.learning_rate) for modality in moving}
    random = np.random.default_rng(options.seed)
    train, choosing = tuple(pairs), tuple[Pair, ...]()
    if sum(pair.match for pair in pairs) >= _FEWEST_TO_CHOOSE:
        train, choosing = split_pairs(pairs, share=0.15, seed=options.seed + 1)
    matching = [pair for pair in train if pair.match]
    against: dict[Side, list[Side]] = {}
    for pair in train:
        if not pair.match:
            against.setdefault(pair.left, []).append(pair.right)
    partners = {(pair.left, pair.right) for pair in pairs if pair.match}
    best, best_score = {m: array.copy() for m, array in maps.items()}, -1.0
    curve: list[dict[str, Any]] = []
    for epoch in range(options.epochs + 1):
        losses = []
        order = random.permutation(len(matching)) if epoch else np.zeros(0, dtype=np.int64)
        for start in range(0, len(order), options.batch_size):
            batch = [matching[place] for place in order[start : start + options.batch_size]]
            loss, gradients = _loss(batch, against, partners, rows, maps, options.scale)
            losses.append(loss)
            for modality, gradient in gradients.items():
                decayed = gradient + options.decay * maps[modality]
                maps[modality] -= adam[modality].step(decayed)
        entry: dict[str, Any] = {"epoch": epoch, "loss": float(np.mean(losses)) if losses else None}
        if choosing:
            measured = retrieval(choosing, map_rows(_as_heads(maps), _rows_of(choosing, rows)))
            entry["score"] = measured.score
        curve.append(entry)
        # Without pairs to choose with, the last epoch is as good as any.
        score = entry.get("score", float(epoch))
        if score > best_score:
            best, best_score = {m: array.copy() for m, array in maps.items()}, score
        if progress is not None:
            progress("fitting", epoch, options.epochs)
    return _as_heads(best), curve


def _as_heads(maps: Mapping[Modality, npt.NDArray[np.float64]]) -> dict[Modality, HeadMap]:
    return {
        modality: HeadMap(
            weight=(np.eye(array.shape[1]) + array[:-1]).astype(np.float32), bias=array[-1].astype(np.float32)
        )
        for modality, array in maps.items()
    }


def _rows_of(pairs: Sequence[Pair], rows: Mapping[Side, FloatArray]) -> dict[Side, FloatArray]:
    return {side: rows[side] for pair in pairs for side in (pair.left, pair.right)}


def _loss(
    batch: Sequence[Pair],
    against: Mapping[Side, Sequence[Side]],
    partners: set[tuple[Side, Side]],
    rows: Mapping[Side, FloatArray],
    maps: Mapping[Modality, npt.NDArray[np.float64]],
    scale: float,
) -> tuple[float, dict[Modality, npt.NDArray[np.float64]]]:
    """The loss of a batch, and its gradient for each map."""
    lefts = list(dict.fromkeys(pair.left for pair in batch))
    rights = list(dict.fromkeys(pair.right for pair in batch))
    rights += [other for other in _refused(lefts, against) if other not in set(rights)]
    targets = np.array([[(left, right) in partners for right in rights] for left in lefts], np.float64)
    left, right = _Mapped(lefts, rows, maps), _Mapped(rights, rows, maps)
    logits = scale * left.units @ right.units.T
    forth, back = targets.any(axis=1), targets.any(axis=0)
    loss_forth, slope_forth = _cross_entropy(logits[forth], targets[forth])
    loss_back, slope_back = _cross_entropy(logits[:, back].T, targets[:, back].T)
    slope = np.zeros_like(logits)
    slope[forth] += slope_forth / 2
    slope[:, back] += slope_back.T / 2
    gradients: dict[Modality, npt.NDArray[np.float64]] = {}
    left.backward(scale * slope @ right.units, gradients)
    right.backward(scale * slope.T @ left.units, gradients)
    return (loss_forth + loss_back) / 2, gradients


def _refused(lefts: Sequence[Side], against: Mapping[Side, Sequence[Side]]) -> list[Side]:
    return list(dict.fromkeys(other for left in lefts for other in against.get(left, ())))


def _cross_entropy(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Mean cross entropy against equal shares of all targets, and its gradient."""
    wanted = targets / targets.sum(axis=1, keepdims=True)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -(wanted * (shifted - log_sums)).sum(axis=1).mean()
    return float(loss), (np.exp(shifted - log_sums) - wanted) / len(logits)


class _Mapped:
    """Rows through their modality's maps, and the way back for gradients."""

    def __init__(
        self,
        sides: Sequence[Side],
        rows: Mapping[Side, FloatArray],
        maps: Mapping[Modality, npt.NDArray[np.float64]],
    ) -> None:
        given = np.stack([rows[side] for side in sides]).astype(np.float64)
        self._given = np.hstack([given, np.ones((len(sides), 1))])
        self._places = {
            modality: np.array([place for place, side in enumerate(sides) if side.modality == modality], int)
            for modality in maps
        }
        mapped = given.copy()
        for modality, places in self._places.items():
            mapped[places] += self._given[places] @ maps[modality]
        self._lengths = np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)
        self.units = mapped / self._lengths

    def backward(
        self, slope: npt.NDArray[np.float64], gradients: dict[Modality, npt.NDArray[np.float64]]
    ) -> None:
        """Add each map's gradient, from the gradient of the unit rows."""
        along = (slope * self.units).sum(axis=1, keepdims=True)
        raw = (slope - along * self.units) / self._lengths
        for modality, places in self._places.items():
            if len(places):
                part = self._given[places].T @ raw[places]
                gradients[modality] = gradients.get(modality, 0) + part


class _Adam:
    def __init__(self, shape: tuple[int, int], rate: float) -> None:
        self._rate = rate
        self._mean, self._square = np.zeros(shape), np.zeros(shape)
        self._steps = 0

    def step(self, gradient: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What to subtract."""
        self._steps += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient**2 - self._square)
        mean = self._mean / (1 - 0.9**self._steps)
        square = self._square / (1 - 0.999**self._steps)
        step: npt.NDArray[np.float64] = self._rate * mean / (np.sqrt(square) + 1e-8)
        return step

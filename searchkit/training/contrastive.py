"""Contrastive training of ONE-PEACE's towers on pairs: chosen parameters move, everything else is frozen.

Towers in which nothing moves run once for each side. The loss is InfoNCE in both directions in which all
partners of a side count; pairs that are set aside choose the moment whose weights are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchkit.errors import DecodeError, EncoderError, QueryError
from searchkit.modality import Modality
from searchkit.one_peace.adapter import Adapter
from searchkit.one_peace.inputs import ModelInputs
from searchkit.training.heldout import retrieval
from searchkit.training.pairs import Load, Pair, Side, reason_of, side_samples
from searchkit.types import FloatArray

__all__ = ["ContrastOptions", "PairTrainer", "ReadySides"]

Progress = Callable[[str, int, int], None]
_KEPT_BYTES = 2 << 30
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class ContrastOptions:
    """How to train.

    Attributes:
        epochs: passes over the pairs.
        batch_size: pairs at once; the others of a batch are what a pair is told from.
        learning_rate: of AdamW at its highest, after a warm-up and before a cosine.
        weight_decay: of matrices.
        warmup: share of the steps.
        checks: how often the set-aside pairs are measured.
        seed: order of the pairs and choice of windows.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    checks: int = 8
    seed: int = 0


class ReadySides:
    """Sides as a model wants them, opened once as long as there is room."""

    def __init__(self, inputs: ModelInputs, load: Load) -> None:
        self.inputs = inputs
        self._load = load
        self._kept: dict[Side, list[Any]] = {}
        self._bytes = 0

    def of(self, side: Side) -> list[Any]:
        """A side's prepared samples, at least one.

        Raises:
            DecodeError: its file cannot be read.
            QueryError: it holds something else than was said.
            EncoderError: the model cannot take it.
        """
        if side in self._kept:
            return self._kept[side]
        ready = [self.inputs.ready(sample) for sample in side_samples(side, self._load)]
        size = sum(value.nbytes if isinstance(value, np.ndarray) else 8 * len(value) for value in ready)
        if self._bytes + size <= _KEPT_BYTES:
            self._kept[side] = ready
            self._bytes += size
        return ready

    def check(self, sides: Sequence[Side], progress: Progress | None = None) -> dict[Side, str]:
        """Open all sides; why some of them cannot be."""
        failed: dict[Side, str] = {}
        for done, side in enumerate(sides, start=1):
            try:
                self.of(side)
            except (DecodeError, QueryError, EncoderError) as error:
                failed[side] = reason_of(error)
            if progress is not None:
                progress("opening", done, len(sides))
        return failed


class PairTrainer:
    """Trains some parameters of a model.

    Args:
        model: a retrieval model with the branches of the pairs in memory.
        ready: opens sides.
        moving: modalities in whose towers something moves.
        parameters: what moves, by name.
    """

    def __init__(
        self,
        model: nn.Module,
        ready: ReadySides,
        moving: frozenset[str],
        parameters: Mapping[str, nn.Parameter],
    ) -> None:
        self._model = model
        self._ready = ready
        self._moving = moving
        self._parameters = dict(parameters)
        self._device = next(iter(self._parameters.values())).device
        self._frozen: dict[Side, Tensor] = {}
        self._random = np.random.default_rng(0)

    def fit(
        self,
        pairs: Sequence[Pair],
        choosing: Sequence[Pair],
        options: ContrastOptions,
        progress: Progress | None = None,
    ) -> list[dict[str, Any]]:
        """Train, and keep the weights of the best moment; returns the curve."""
        self._random = np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        scale = nn.Parameter(torch.tensor(math.log(1 / 0.07), device=self._device))
        matrices = [p for p in self._parameters.values() if p.dim() > 1]
        others = [p for p in self._parameters.values() if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": options.weight_decay},
            {"params": [*others, scale], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.98))
        batches = list(self._batches(pairs, options))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _cosine(len(batches), options.warmup))
        partners = {(pair.left, pair.right) for pair in pairs if pair.match}
        against = _against(pairs)
        curve: list[dict[str, Any]] = []
        losses: list[float] = []
        best, best_score = self._state(), -1.0
        check_every = max(1, len(batches) // options.checks)
        self._model.train()
        for step, batch in enumerate(batches):
            if step % check_every == 0:
                best, best_score = self._check(choosing, step, losses, curve, best, best_score)
            loss = self._loss(batch, partners, against, scale)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(list(self._parameters.values()), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                scale.clamp_(0, math.log(100))
            losses.append(float(loss.detach()))
            if progress is not None:
                progress("training", step + 1, len(batches))
        best, _ = self._check(choosing, len(batches), losses, curve, best, best_score)
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(best[name])
                parameter.requires_grad_(False)
        self._model.eval()
        self._forget_biases()
        return curve

    def rows(self, sides: Sequence[Side]) -> dict[Side, FloatArray]:
        """Unit vectors (dim,) of sides as the model is now; windows of a file average."""
        self._model.eval()
        self._forget_biases()
        by_modality: dict[Modality, list[tuple[Side, Any]]] = {}
        for side in dict.fromkeys(sides):
            for value in self._ready.of(side):
                by_modality.setdefault(side.modality, []).append((side, value))
        sums: dict[Side, Tensor] = {}
        with torch.no_grad():
            for modality, entries in by_modality.items():
                for start in range(0, len(entries), _AT_ONCE):
                    part = entries[start : start + _AT_ONCE]
                    vectors = self._run(modality, [value for _, value in part])
                    for (side, _), vector in zip(part, vectors, strict=True):
                        sums[side] = sums[side] + vector if side in sums else vector
        self._model.train()
        return {side: F.normalize(total, dim=0).float().cpu().numpy() for side, total in sums.items()}

    def _check(
        self,
        choosing: Sequence[Pair],
        step: int,
        losses: list[float],
        curve: list[dict[str, Any]],
        best: dict[str, Tensor],
        best_score: float,
    ) -> tuple[dict[str, Tensor], float]:
        recent = losses[curve[-1]["step"] :] if curve else losses
        entry: dict[str, Any] = {"step": step, "loss": float(np.mean(recent)) if recent else None}
        # Without pairs to choose with, the last moment is as good as any.
        score = float(step)
        if choosing:
            sides = [side for pair in choosing for side in (pair.left, pair.right)]
            score = entry["score"] = retrieval(choosing, self.rows(sides)).score
        curve.append(entry)
        return (self._state(), score) if score > best_score else (best, best_score)

    def _state(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    def _batches(self, pairs: Sequence[Pair], options: ContrastOptions) -> list[list[Pair]]:
        """Batches of pairs of the same two modalities, each pair once an epoch."""
        groups: dict[tuple[Modality, Modality], list[Pair]] = {}
        for pair in pairs:
            if pair.match:
                groups.setdefault((pair.left.modality, pair.right.modality), []).append(pair)
        batches: list[list[Pair]] = []
        for _ in range(options.epochs):
            epoch: list[list[Pair]] = []
            for group in groups.values():
                order = self._random.permutation(len(group))
                count = max(1, round(len(group) / options.batch_size))
                epoch += [[group[place] for place in part] for part in np.array_split(order, count)]
            batches += [epoch[place] for place in self._random.permutation(len(epoch))]
        return batches

    def _loss(
        self,
        batch: Sequence[Pair],
        partners: set[tuple[Side, Side]],
        against: Mapping[Side, Sequence[Side]],
        scale: Tensor,
    ) -> Tensor:
        lefts = list(dict.fromkeys(pair.left for pair in batch))
        rights = list(dict.fromkeys(pair.right for pair in batch))
        refused = [other for left in lefts for other in against.get(left, ())]
        rights = list(dict.fromkeys([*rights, *(o for o in refused if o.modality == rights[0].modality)]))
        targets = torch.tensor(
            [[(left, right) in partners for right in rights] for left in lefts],
            dtype=torch.float32,
            device=self._device,
        )
        logits = scale.exp() * self._embed(lefts) @ self._embed(rights).t()
        has_partner = targets.any(0)
        return (
            _cross_entropy(logits, targets)
            + _cross_entropy(logits.t()[has_partner], targets.t()[has_partner])
        ) / 2

    def _embed(self, sides: Sequence[Side]) -> Tensor:
        """Unit rows (N, dim) of sides of one modality; one window of each file that has several."""
        modality = sides[0].modality
        if modality not in self._moving:
            unknown = [side for side in sides if side not in self._frozen]
            if unknown:
                found = self.rows(unknown)
                self._frozen |= {s: torch.from_numpy(row).to(self._device) for s, row in found.items()}
            return torch.stack([self._frozen[side] for side in sides])
        chosen = []
        for side in sides:
            windows = self._ready.of(side)
            chosen.append(windows[int(self._random.integers(len(windows)))])
        return self._run(modality, chosen)

    def _run(self, modality: Modality, values: Sequence[Any]) -> Tensor:
        inputs: dict[str, Any] = {
            key: value.to(self._device) for key, value in self._ready.inputs.batch(modality, values).items()
        }
        if modality == Modality.AUDIO:
            inputs["isolate"] = True
        rows: Tensor = self._model(modality.value, **inputs)
        return rows.float()

    def _forget_biases(self) -> None:
        for module in self._model.modules():
            if isinstance(module, Adapter):
                module.clear_cache()


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy against equal shares of all targets."""
    shares = targets / targets.sum(1, keepdim=True)
    return -(shares * logits.log_softmax(1)).sum(1).mean()


def _cosine(steps: int, warmup: float) -> Callable[[int], float]:
    rising = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return factor


def _against(pairs: Sequence[Pair]) -> dict[Side, list[Side]]:
    found: dict[Side, list[Side]] = {}
    for pair in pairs:
        if not pair.match:
            found.setdefault(pair.left, []).append(pair.right)
    return found

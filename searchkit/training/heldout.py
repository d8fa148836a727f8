"""A held-out part of pairs, and how well a space finds one side of each with the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchkit.errors import UsageError
from searchkit.query.measures import Evaluation, evaluate
from searchkit.training.pairs import Pair, Side
from searchkit.types import FloatArray

__all__ = ["Comparison", "Retrieval", "split_pairs", "retrieval"]

KS = (1, 5, 10)
_FEWEST = 8


def split_pairs(
    pairs: Sequence[Pair], *, share: float, seed: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Part pairs into those to train on and those to measure on, which share no file.

    Each right side (the file, where the other is words) is wholly in one part; a caption may be in both.

    Args:
        pairs: all of them.
        share: of the right sides that are held out.
        seed: which.

    Raises:
        UsageError: there are too few.
    """
    rights = sorted({pair.right for pair in pairs if pair.match}, key=str)
    if len(rights) < _FEWEST:
        raise UsageError(
            f"{len(rights)} pairs are too few to train on and measure with", hint=f"give at least {_FEWEST}"
        )
    count = min(max(2, round(share * len(rights))), len(rights) - 2)
    order = np.random.default_rng(seed).permutation(len(rights))
    held = {rights[place] for place in order[:count]}
    train = tuple(pair for pair in pairs if pair.right not in held)
    return train, tuple(pair for pair in pairs if pair.right in held)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Both directions of a search among held-out pairs.

    Attributes:
        forward: right sides found with left ones, such as pictures with captions.
        backward: left sides found with right ones.
        targets: how many there were to choose from, forward and backward.
    """

    forward: Evaluation
    backward: Evaluation
    targets: tuple[int, int]

    @property
    def score(self) -> float:
        """What decides which of two spaces is better: the mean reciprocal rank of both directions."""
        return (self.forward.mrr + self.backward.mrr) / 2

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        named = {"forward": self.forward, "backward": self.backward}
        return {
            name: {"targets": targets, **found.to_dict()}
            for (name, found), targets in zip(named.items(), self.targets, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same held-out pairs in the space before and after."""

    before: Retrieval
    after: Retrieval

    @property
    def is_worse(self) -> bool:
        """Whether less is found than before."""
        return self.after.score < self.before.score

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"before": self.before.to_dict(), "after": self.after.to_dict(), "is_worse": self.is_worse}


def retrieval(pairs: Sequence[Pair], rows: Mapping[Side, FloatArray]) -> Retrieval:
    """Measure both directions.

    Args:
        pairs: the held-out ones; those that do not match are no targets and no queries.
        rows: unit vectors (dim,) of every side.

    Raises:
        UsageError: there is no pair to measure.
    """
    matching = [pair for pair in pairs if pair.match]
    if not matching:
        raise UsageError("no held-out pair matches", hint="give more pairs")
    lefts = list(dict.fromkeys(pair.left for pair in matching))
    rights = list(dict.fromkeys(pair.right for pair in matching))
    partners: dict[Side, set[Side]] = {}
    for pair in matching:
        partners.setdefault(pair.left, set()).add(pair.right)
        partners.setdefault(pair.right, set()).add(pair.left)
    scores = np.stack([rows[side] for side in lefts]) @ np.stack([rows[side] for side in rights]).T
    return Retrieval(
        _ranked(scores, lefts, rights, partners),
        _ranked(scores.T, rights, lefts, partners),
        (len(rights), len(lefts)),
    )


def _ranked(
    scores: FloatArray, queries: Sequence[Side], targets: Sequence[Side], partners: Mapping[Side, set[Side]]
) -> Evaluation:
    orders = np.argsort(-scores, axis=1, kind="stable")
    rankings = [[targets[place] for place in order] for order in orders]
    return evaluate(rankings, [partners[query] for query in queries], KS)

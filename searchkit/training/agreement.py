"""How alike two spaces are: what share of a thing's nearest neighbours they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchkit.modality import Modality
from searchkit.types import FloatArray

__all__ = ["Agreement", "agreement"]

_NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Agreement:
    """Student and teacher on things that the student did not learn from.

    Attributes:
        source: what searches.
        target: what is found.
        queries: how many searched.
        k: how many neighbours are compared.
        student: mean share of the teacher's k nearest that are among the student's.
        before: the same for the small model without its head.
        chance: the same for neighbours drawn at random.
        cosine: mean cosine of student's and teacher's vector of a thing.
    """

    source: Modality
    target: Modality
    queries: int
    k: int
    student: float
    before: float
    chance: float
    cosine: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "from": self.source.value,
            "to": self.target.value,
            "queries": self.queries,
            "k": self.k,
            "student": round(self.student, 4),
            "before": round(self.before, 4),
            "chance": round(self.chance, 4),
            "cosine": round(self.cosine, 4),
        }


def agreement(
    source: Modality,
    target: Modality,
    student: Sequence[FloatArray],
    teacher: Sequence[FloatArray],
    before: Sequence[FloatArray],
    *,
    same: bool,
) -> Agreement:
    """Compare neighbours.

    Args:
        source: what searches.
        target: what is found.
        student: unit rows (Q, dim) that search and (N, dim) that are found.
        teacher: the same things where the teacher puts them.
        before: the same things in the small model's own space.
        same: rows search among themselves, and do not find themselves.
    """
    count = len(teacher[1]) - same
    k = max(1, min(_NEIGHBOURS, count // 2))
    wanted = _nearest(teacher, k, same)
    return Agreement(
        source=source,
        target=target,
        queries=len(teacher[0]),
        k=k,
        student=_shared(wanted, _nearest(student, k, same)),
        before=_shared(wanted, _nearest(before, k, same)),
        chance=k / count,
        cosine=float((student[1] * teacher[1]).sum(axis=1).mean()),
    )


def _nearest(sides: Sequence[FloatArray], k: int, same: bool) -> list[set[int]]:
    scores = sides[0] @ sides[1].T
    if same:
        np.fill_diagonal(scores, -np.inf)
    return [set(order[:k].tolist()) for order in np.argsort(-scores, axis=1, kind="stable")]


def _shared(wanted: Sequence[set[int]], found: Sequence[set[int]]) -> float:
    return float(np.mean([len(a & b) / len(a) for a, b in zip(wanted, found, strict=True)]))

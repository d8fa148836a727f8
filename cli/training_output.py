"""How the training commands show what they measured and what they left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searchkit.cli.output import note, table

if TYPE_CHECKING:
    from searchkit.training.heldout import Comparison, Retrieval
    from searchkit.training.pairs import Skipped

__all__ = ["print_comparison", "print_retrieval", "print_skipped"]

_HEADS = ("", "", "queries", "targets", "hit@1", "hit@10", "MRR")


def print_comparison(comparison: Comparison) -> None:
    """Both directions before and after, as a table."""
    print_retrieval([("before", comparison.before), ("after", comparison.after)])


def print_retrieval(measured: Sequence[tuple[str, Retrieval]]) -> None:
    """Both directions of each measurement, as a table."""
    rows = []
    for when, found in measured:
        directions = (("left to right", found.forward), ("right to left", found.backward))
        for (name, measures), targets in zip(directions, found.targets, strict=True):
            figures = (measures.hit_rate[1], measures.hit_rate[10], measures.mrr)
            cells = (f"{value:.3f}" for value in figures)
            rows.append((when, name, str(measures.queries), str(targets), *cells))
    table(_HEADS, rows)


def print_skipped(skipped: Skipped) -> None:
    """How many were left out, and why."""
    for reason, count in skipped.reasons.most_common():
        note(f"  left out: {count} x {reason}")
    for example in skipped.examples[:3]:
        note(f"    such as {example}")

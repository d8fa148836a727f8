"""Joining ranked lists: fusion over modalities, merging of neighbouring spans; knows only ids and scores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from searchkit.types import Hit, Modality, Span

__all__ = [
    "FusedHit",
    "Located",
    "best_per_asset",
    "first_per",
    "fuse_scores",
    "merge_neighbours",
    "reciprocal_rank_fusion",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FusedHit:
    """One row of a fused list.

    Attributes:
        id: the segment's id.
        score: the fused score; higher is better, comparable within one list only.
        ranks: rank from 1 in each list that holds the id, by the list's name.
        scores: score in each of these lists.
    """

    id: int
    score: float
    ranks: Mapping[str, int]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Located:
    """A hit with its place: the segment's asset, modality and span (None for a whole asset)."""

    id: int
    asset_id: int
    modality: Modality
    score: float
    span: Span | None = None


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[Hit]],
    *,
    rank_constant: float = 60.0,
    weights: Mapping[str, float] | None = None,
) -> list[FusedHit]:
    """Fuse by ranks alone: ``score(id) = sum(weight / (rank_constant + rank))``.

    Source: Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods", SIGIR 2009, with their constant 60. Lists of different modalities share no id, and
    then this interleaves them rank by rank.

    Args:
        rankings: lists by name, best first.
        rank_constant: how little the first ranks stand out, > 0.
        weights: weight of each list, 1.0 for those left out.

    Returns:
        All ids, best first; equal scores in the order of the lists, then of the ids.
    """
    if rank_constant <= 0:
        raise ValueError(f"rank_constant must be > 0, got {rank_constant}")
    weight_of = weights or {}
    return _fuse(
        rankings,
        lambda name, rank, _: weight_of.get(name, 1.0) / (rank_constant + rank),
        lambda parts: sum(parts),
    )


def fuse_scores(
    rankings: Mapping[str, Sequence[Hit]], calibrate: Mapping[str, Callable[[float], float]] | None = None
) -> list[FusedHit]:
    """Fuse by scores that were brought to one scale; an id in several lists keeps its best.

    Args:
        rankings: lists by name, best first.
        calibrate: raw score to a comparable one (z-score, probability) for each list; None takes them raw.

    Returns:
        All ids, best first; equal scores in the order of the lists, then of the ids.
    """
    return _fuse(
        rankings,
        lambda name, _, score: calibrate[name](score) if calibrate else score,
        lambda parts: max(parts),
    )


def _fuse(
    rankings: Mapping[str, Sequence[Hit]],
    score_of: Callable[[str, int, float], float],
    join: Callable[[list[float]], float],
) -> list[FusedHit]:
    parts: dict[int, list[float]] = {}
    ranks: dict[int, dict[str, int]] = {}
    scores: dict[int, dict[str, float]] = {}
    first_list: dict[int, int] = {}
    for order, (name, hits) in enumerate(rankings.items()):
        for rank, hit in enumerate(hits, start=1):
            if name in ranks.get(hit.id, ()):
                raise ValueError(f"list {name!r} holds id {hit.id} twice")
            parts.setdefault(hit.id, []).append(score_of(name, rank, hit.score))
            ranks.setdefault(hit.id, {})[name] = rank
            scores.setdefault(hit.id, {})[name] = hit.score
            first_list.setdefault(hit.id, order)
    fused = [FusedHit(id, join(values), ranks[id], scores[id]) for id, values in parts.items()]
    return sorted(fused, key=lambda hit: (-hit.score, first_list[hit.id], hit.id))


def first_per(ranked: Iterable[T], key: Callable[[T], Hashable]) -> list[T]:
    """The first of each key in a ranked list, order kept."""
    seen: set[Hashable] = set()
    kept = []
    for entry in ranked:
        if (value := key(entry)) not in seen:
            seen.add(value)
            kept.append(entry)
    return kept


def best_per_asset(ranked: Sequence[Located]) -> list[Located]:
    """The best-ranked segment of each asset, order kept."""
    return first_per(ranked, lambda hit: hit.asset_id)


def merge_neighbours(ranked: Sequence[Located], *, gap_s: float = 0.0) -> list[Located]:
    """Merge hits of one asset and modality whose spans overlap, touch, or lie at most ``gap_s`` apart.

    A merged hit covers all of its spans and keeps the id, score and rank of its best; hits without a span
    stay as they are.

    Args:
        ranked: hits, best first.
        gap_s: longest silence to bridge, in seconds, >= 0.

    Returns:
        Hits, best first.
    """
    if gap_s < 0:
        raise ValueError(f"gap_s must be >= 0, got {gap_s}")
    groups: dict[tuple[int, Modality], list[tuple[Span, int]]] = {}
    for rank, hit in enumerate(ranked):
        if hit.span is not None:
            groups.setdefault((hit.asset_id, hit.modality), []).append((hit.span, rank))
    merged: dict[int, Span | None] = {rank: None for rank, hit in enumerate(ranked) if hit.span is None}
    for spans in groups.values():
        spans.sort()
        current, best = spans[0]
        for span, rank in spans[1:]:
            if span.start_s <= current.end_s + gap_s:
                current = Span(current.start_s, max(current.end_s, span.end_s))
                best = min(best, rank)
            else:
                merged[best] = current
                current, best = span, rank
        merged[best] = current
    return [replace(ranked[rank], span=merged[rank]) for rank in sorted(merged)]

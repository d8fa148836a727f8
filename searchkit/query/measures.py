"""Measures of ranked lists against sets of relevant ids; pure functions that know no model and no data set.

Papers call two measures "recall@k": the share of queries with at least one relevant id among the first k
(hit rate), and the share of the relevant ids that are among them (divided recall). They differ as soon as a
query has several relevant ids, so both have their own name here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

__all__ = [
    "Evaluation",
    "average_precision",
    "divided_recall",
    "evaluate",
    "first_rank",
    "hit_rate",
    "ndcg",
    "reciprocal_rank",
]


def first_rank(ranked: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """Rank, from 1, of the first relevant id; infinity when the list holds none."""
    wanted = set(relevant)
    return next((float(rank) for rank, id in enumerate(ranked, start=1) if id in wanted), math.inf)


def hit_rate(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """1.0 when a relevant id is among the first k, otherwise 0.0."""
    return float(first_rank(ranked, relevant) <= k)


def divided_recall(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Share of the relevant ids that are among the first k; 0.0 without relevant ids."""
    wanted = set(relevant)
    return len(wanted.intersection(ranked[:k])) / len(wanted) if wanted else 0.0


def reciprocal_rank(ranked: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """1 / rank of the first relevant id, 0.0 when the list holds none."""
    return 1.0 / first_rank(ranked, relevant)


def average_precision(ranked: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """Mean, over all relevant ids, of the precision at their ranks; 0 for one that is not in the list."""
    wanted = set(relevant)
    found, total = 0, 0.0
    for rank, id in enumerate(ranked, start=1):
        if id in wanted:
            found += 1
            total += found / rank
    return total / len(wanted) if wanted else 0.0


def ndcg(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Normalised discounted cumulative gain of the first k, every relevant id counting 1.

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 2002, with
    the logarithmic discount ``1 / log2(rank + 1)``.
    """
    wanted = set(relevant)
    gain = sum(1 / math.log2(rank + 1) for rank, id in enumerate(ranked[:k], start=1) if id in wanted)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return gain / ideal if ideal else 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Means over queries.

    Attributes:
        queries: how many queries had a relevant id and were counted.
        without_relevant: how many had none and were left out.
        hit_rate: share of queries with a relevant id among the first k, by k.
        divided_recall: mean share of the relevant ids among the first k, by k.
        ndcg: mean nDCG, by k.
        median_rank: median rank of the first relevant id; infinity when most lists hold none.
        mrr: mean reciprocal rank.
        map: mean average precision over the lists as given; cut lists lower it.
    """

    queries: int
    without_relevant: int
    hit_rate: dict[int, float]
    divided_recall: dict[int, float]
    ndcg: dict[int, float]
    median_rank: float
    mrr: float
    map: float

    def to_dict(self) -> dict[str, float | int | None]:
        """Flat, for JSON and tables: ``hit_rate@1`` ...; a median rank of infinity is None."""
        flat: dict[str, float | int | None] = {
            "queries": self.queries,
            "without_relevant": self.without_relevant,
        }
        for name in ("hit_rate", "divided_recall", "ndcg"):
            flat |= {f"{name}@{k}": value for k, value in getattr(self, name).items()}
        flat["median_rank"] = self.median_rank if math.isfinite(self.median_rank) else None
        return {**flat, "mrr": self.mrr, "map": self.map}


def evaluate(
    rankings: Sequence[Sequence[Hashable]],
    relevant: Sequence[Collection[Hashable]],
    ks: Sequence[int] = (1, 5, 10),
) -> Evaluation:
    """Judge one ranked list a query.

    Args:
        rankings: ids, best first, one list a query; an id may not repeat within a list.
        relevant: the relevant ids of each query.
        ks: depths, each >= 1.

    Raises:
        ValueError: the two differ in length, a k is below 1, a list repeats an id, or no query has a
            relevant id.
    """
    if len(rankings) != len(relevant):
        raise ValueError(f"got {len(rankings)} ranked lists but relevant ids for {len(relevant)} queries")
    if any(k < 1 for k in ks):
        raise ValueError(f"every k must be >= 1, got {tuple(ks)}")
    for ranked in rankings:
        if len(set(ranked)) != len(ranked):
            raise ValueError("a ranked list repeats an id, which would count it twice")
    pairs = [(ranked, wanted) for ranked, wanted in zip(rankings, relevant, strict=True) if wanted]
    if not pairs:
        raise ValueError("no query has a relevant id, there is nothing to measure")
    return Evaluation(
        queries=len(pairs),
        without_relevant=len(rankings) - len(pairs),
        hit_rate={k: statistics.fmean(hit_rate(*pair, k) for pair in pairs) for k in ks},
        divided_recall={k: statistics.fmean(divided_recall(*pair, k) for pair in pairs) for k in ks},
        ndcg={k: statistics.fmean(ndcg(*pair, k) for pair in pairs) for k in ks},
        median_rank=statistics.median(first_rank(*pair) for pair in pairs),
        mrr=statistics.fmean(reciprocal_rank(*pair) for pair in pairs),
        map=statistics.fmean(average_precision(*pair) for pair in pairs),
    )

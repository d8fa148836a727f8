"""What a raw score means: z-scores and probabilities of a match, from the scores of a collection's own rows.

A cosine of 0.23 means nothing by itself: its scale depends on the modalities, on the query and on what else
the library holds. So the query is scored against a fixed sample of the collection (the background), and a
hit is judged by how surprising its score is among that many rows. It knows scores only, no vectors.

The upper tail of the background is taken as exponential, ``P(score > s) = exp(-(s - median) / scale) / 2``:
scores of unrelated rows fall off more slowly than a normal distribution would, since rows on neighbouring
topics are among them, and a normal tail would call these matches. The scale is the mean deviation of the
scores above the median, held to at most 1.5 times that below it, where no matches are, so that a library
full of matches does not take them for background.

The probability of a match is one minus the tail-area false discovery rate: the number of background rows
expected at or above a score over the number of rows found there. Sources: Benjamini and Hochberg,
"Controlling the false discovery rate", 1995; Efron, "Large-scale inference", 2010, chapter 2; the expected
number plays the part of the E-value of Karlin and Altschul, 1990.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchkit.types import Hit, IdArray

__all__ = [
    "CUTOFF",
    "MIN_ROWS",
    "SAMPLE_ROWS",
    "Background",
    "background_ids",
    "good_matches",
]

CUTOFF = 0.05
"""Default cut-off on the probability of a match: low, as hiding a match is worse than showing a few bad ones.

Measured by benchmarks/calibration.py: of the true matches among the first ten it hides 5 % on the development
set of ``mini`` (and 15 % of the wrong ones), and 1.5 % in sample_media.
"""

SAMPLE_ROWS = 1000
"""How many rows of a collection make its background."""

MIN_ROWS = 20
"""Below this many scores a background says too little to judge by."""

_NORMAL_FROM_MAD = 1.4826
_LARGEST_SKEW = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """How a query's scores are distributed over one collection.

    Attributes:
        size: rows that the search could have found (after filters).
        location: median of the background scores.
        spread: their median absolute deviation, scaled to be a normal distribution's standard deviation.
        tail_scale: scale of the exponential upper tail.
        scores: (M,) the background scores, ascending.
        false_share: (M,) lowest false discovery rate of any threshold up to that score.
    """

    size: int
    location: float
    spread: float
    tail_scale: float
    scores: npt.NDArray[np.float64]
    false_share: npt.NDArray[np.float64]

    @classmethod
    def of(cls, scores: npt.NDArray[np.floating], size: int) -> Background | None:
        """Fit a background.

        Args:
            scores: (M,) scores of the query against a random sample of the collection's rows, or all of
                them; matches may be among them. Of the whole collection also when a filter narrows the
                search: what a filter lets through may all be matches.
            size: how many rows the search looks at, after filters, >= 1.

        Returns:
            None when M < MIN_ROWS: nothing can be said.

        Raises:
            ValueError: scores are not (M,), not finite, or size is below 1.
        """
        ordered = np.sort(np.asarray(scores, dtype=np.float64))
        if ordered.ndim != 1 or not np.isfinite(ordered).all() or size < 1:
            raise ValueError(f"needs finite scores (M,) and size >= 1, got {ordered.shape} and {size}")
        if len(ordered) < MIN_ROWS:
            return None
        location = float(np.median(ordered))
        deviations = ordered - location
        tiny = max(1e-9, 1e-9 * abs(location))
        above = _mean(deviations[deviations > 0])
        below = _mean(-deviations[deviations < 0])
        tail_scale = max(min(above, _LARGEST_SKEW * below) if below > 0 else above, tiny)
        spread = max(_NORMAL_FROM_MAD * float(np.median(np.abs(deviations))), tiny)
        share_found = 1 - np.arange(len(ordered)) / len(ordered)
        rate = np.where(
            deviations > 0, np.exp(-np.maximum(deviations, 0) / tail_scale) / 2 / share_found, 1.0
        )
        false_share = np.minimum.accumulate(np.minimum(rate, 1.0))
        return cls(size, location, spread, tail_scale, ordered, false_share)

    def z(self, score: float) -> float:
        """How many spreads a score lies above the background's median."""
        return (score - self.location) / self.spread

    def surprise(self, score: float) -> float:
        """Minus the natural logarithm of ``expected``: comparable between collections, never saturates."""
        excess = score - self.location
        log_tail = math.log(0.5) - excess / self.tail_scale if excess > 0 else math.log(self._share(score))
        return -(math.log(self.size) + log_tail)

    def expected(self, score: float) -> float:
        """How many rows of background alone would score this much or more, among ``size`` rows."""
        return math.exp(-self.surprise(score))

    def probability(self, score: float) -> float:
        """Probability, in [0, 1], that what scores this much is no background; grows with the score."""
        if score <= self.location:
            return 0.0
        position = int(np.searchsorted(self.scores, score, side="right")) - 1
        found = max(1.0, self.size * (len(self.scores) - 1 - position) / len(self.scores))
        false_share = min(1.0, self.expected(score) / found, float(self.false_share[max(position, 0)]))
        return 1.0 - false_share

    def _share(self, score: float) -> float:
        """Share of the background at or above a score that does not lie above its median."""
        below = int(np.searchsorted(self.scores, score, side="left"))
        return max((len(self.scores) - below) / len(self.scores), 0.5)


def background_ids(ids: IdArray, limit: int = SAMPLE_ROWS) -> IdArray:
    """A sample of ids that looks random but is fixed: up to ``limit`` of them, ascending.

    The ids with the smallest hashes are taken, so that rows that come or go change the sample little.

    Args:
        ids: (N,) of a collection, non-negative.
        limit: how many at most.
    """
    if len(ids) <= limit:
        return np.sort(ids)
    # SplitMix64's finaliser (Steele, Lea and Flood, 2014); unsigned overflow is part of it.
    mixed = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    chosen = np.argpartition(mixed ^ (mixed >> np.uint64(31)), limit)[:limit]
    return np.sort(ids[chosen])


def good_matches(hits: Sequence[Hit], background: Background | None, *, cutoff: float = CUTOFF) -> list[Hit]:
    """The hits whose probability of a match reaches the cut-off, order kept; an empty list is an answer.

    Without a background (too small a collection to tell) every hit stays.
    """
    if background is None:
        return list(hits)
    return [hit for hit in hits if background.probability(hit.score) >= cutoff]


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0

"""What a score says for an encoder that was measured: weights of evidence for each pair of modalities.

The weight of evidence of a score is the logarithm of how much likelier it is between a query and something
relevant to it than between unrelated things (Good, "Probability and the weighing of evidence", 1950). It is
one scale for all pairs of modalities and all sizes of library, so that results of several modalities rank by
it, and with the share of matches that one expects beforehand it gives the probability of a match.

The tables come from ``benchmarks/calibration.py``. An encoder without one is judged against the library's own
rows (``calibrate``).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.query.algebra import Operand, Segment
from searchkit.query.dupes import COPY_COSINE
from searchkit.query.embed import EmbeddedQuery
from searchkit.types import Modality

__all__ = ["KNOTS", "MEASURED", "Evidence", "evidence_for", "match_log_odds", "match_probability"]

_TEXT, _IMAGE, _AUDIO = Modality.TEXT, Modality.IMAGE, Modality.AUDIO

_SIZES = (25, 1000)

# For copies of the query: the samples that the tables were fitted on hold none.
_COPY_WEIGHT = 10.0
KNOTS = (-0.1, 0.0, 0.1, 0.2, 0.4, 0.6, 0.8)

MEASURED: Mapping[str, Mapping[tuple[Modality, Modality], tuple[float, ...]]] = {
    "mini": {
        (_TEXT, _TEXT): (-6.4, -4.49, -2.34, -0.01, 3.5, 5.22, 6.23),
        (_TEXT, _IMAGE): (-1.67, -0.55, 0.83, 1.91, 2.87, 2.97, 3.07),
        (_TEXT, _AUDIO): (-1.74, -0.69, 0.53, 1.41, 2.43, 2.88, 2.98),
        (_IMAGE, _TEXT): (-2.15, -0.66, 0.99, 2.15, 2.99, 3.09, 3.19),
        (_IMAGE, _IMAGE): (-1.3, -1.14, -0.65, 0.19, 1.38, 2.47, 3.3),
        (_IMAGE, _AUDIO): (-0.81, -0.2, 0.47, 1.06, 1.85, 1.95, 2.05),
        (_AUDIO, _TEXT): (-0.31, -0.26, 0.13, 1.25, 2.77, 3.55, 3.92),
        (_AUDIO, _IMAGE): (-0.94, -0.3, 0.64, 1.5, 1.94, 2.04, 2.14),
        (_AUDIO, _AUDIO): (-0.93, -0.5, 0.18, 0.77, 1.44, 1.93, 2.78),
    }
}
"""By encoder: what scores of -0.1, 0, 0.1, 0.2, 0.4, 0.6 and 0.8 say, for (query's, target's) modality."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much a score of one query speaks for a match, in natural logarithms.

    Attributes:
        weights: what the knots' scores say; ascending, straight between and beyond.
        same_kind: whether the query is of the kind that it searches, so that a row may nearly be the query.
    """

    weights: tuple[float, ...]
    same_kind: bool = False

    def of(self, score: float) -> float:
        """The weight of evidence of a score; above 0 it speaks for a match."""
        left = min(max(bisect_right(KNOTS, score) - 1, 0), len(KNOTS) - 2)
        low, high = self.weights[left], self.weights[left + 1]
        weight = low + (score - KNOTS[left]) * (high - low) / (KNOTS[left + 1] - KNOTS[left])
        # Rounding must not let a lower score say more at a knot.
        if score >= KNOTS[left]:
            weight = max(weight, low)
        weight = min(weight, high) if score <= KNOTS[left + 1] else max(weight, high)
        return weight + _COPY_WEIGHT if self.same_kind and score >= COPY_COSINE else weight


def evidence_for(
    embedded: EmbeddedQuery,
    encoder: str,
    target: Modality,
    modality_of: Callable[[int], Modality],
) -> Evidence | None:
    """What a query's scores say in a collection; None for an encoder that was not measured.

    The terms of a sum speak in proportion to their weights; those that are subtracted say nothing, unless
    there are no others.

    Args:
        embedded: the query.
        encoder: the encoder's name.
        target: what the collection's segments were encoded as: TEXT, IMAGE or AUDIO.
        modality_of: what a stored segment was encoded as.
    """
    table = MEASURED.get(encoder)
    if table is None:
        return None
    shares = np.asarray(embedded.shares, dtype=np.float64)
    shares = np.maximum(shares, 0.0) if (shares > 0).any() else np.abs(shares)
    total = np.zeros(len(KNOTS))
    same_kind = True
    for term, share in zip(embedded.query.terms, shares, strict=True):
        sources = _sources(term.operand, modality_of)
        rows = [table[source, target] for source in sources if (source, target) in table]
        if share > 0 and not rows:
            return None
        if share > 0:
            total += share * np.mean(rows, axis=0)
            same_kind = same_kind and set(sources) == {target}
    return Evidence(tuple((total / shares.sum()).tolist()), same_kind)


def match_log_odds(evidence: float, size: int) -> float:
    """Logarithm of the odds of a match among ``size`` rows, half of whose square root is expected to match.

    A library of a hundred photos holds perhaps five that fit a query. Of the expectations that were tried
    (constant shares, other powers, shares fitted to each query) this one agreed best with small and large
    sets. Sizes beyond those measured count as the smallest and the largest of them; otherwise no score could
    be a good match in a library of a million photos.
    """
    prior = 0.5 * min(max(size, _SIZES[0]), _SIZES[1]) ** -0.5
    return evidence + math.log(prior / (1 - prior))


def match_probability(evidence: float, size: int) -> float:
    """Probability of a match among ``size`` rows; see ``match_log_odds``."""
    log_odds = match_log_odds(evidence, size)
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0


def _sources(operand: Operand, modality_of: Callable[[int], Modality]) -> Sequence[Modality]:
    if isinstance(operand, Segment):
        return (modality_of(operand.id),)
    return (_IMAGE, _AUDIO) if operand.kind == "video" else (Modality(operand.kind),)

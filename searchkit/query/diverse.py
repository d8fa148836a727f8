"""Diverse results: a ranked list in which the next result also differs from the ones before it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from searchkit.types import FloatArray

__all__ = ["maximal_marginal_relevance"]


def maximal_marginal_relevance(
    scores: npt.NDArray[np.floating], vectors: FloatArray, k: int, *, relevance: float = 0.7
) -> list[int]:
    """Pick k candidates, each the best of ``relevance * score - (1 - relevance) * nearest picked one``.

    Source: Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
    producing summaries", SIGIR 1998. Scores across modalities are small beside scores within one, so both
    are brought to the range [0, 1] over the candidates first; else one side would rule whatever
    ``relevance`` says.

    Args:
        scores: (N,) of the candidates for the query; higher is better.
        vectors: (N, dim) unit rows of the candidates.
        k: how many to pick at most.
        relevance: 1 keeps the order of the scores, 0 looks at differences only.

    Returns:
        Positions of the picked candidates, in order; the best-scored one comes first.

    Raises:
        ValueError: the shapes differ, or relevance is outside [0, 1].
    """
    if scores.ndim != 1 or vectors.ndim != 2 or len(scores) != len(vectors):
        raise ValueError(f"needs scores (N,) and vectors (N, dim), got {scores.shape} and {vectors.shape}")
    if not 0 <= relevance <= 1:
        raise ValueError(f"relevance must be in [0, 1], got {relevance}")
    if not len(scores) or k < 1:
        return []
    wanted = _unit_range(np.asarray(scores, dtype=np.float64))
    likeness = np.asarray(vectors @ vectors.T, dtype=np.float64)
    likeness = _unit_range(likeness)
    picked = [int(np.argmax(wanted))]
    nearest = likeness[picked[0]].copy()
    while len(picked) < min(k, len(scores)):
        marginal = relevance * wanted - (1 - relevance) * nearest
        marginal[picked] = -np.inf
        picked.append(int(np.argmax(marginal)))
        nearest = np.maximum(nearest, likeness[picked[-1]])
    return picked


def _unit_range(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros_like(values)
    scaled: npt.NDArray[np.float64] = (values - low) / (high - low)
    return scaled

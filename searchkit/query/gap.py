"""Corrections for the gap between modalities and for hubs, as pure functions over arrays.

In a joint space each modality lies in a cone of its own (Liang et al., "Mind the gap", NeurIPS 2022), so raw
sums and raw scores across modalities mislead; subtracting each modality's mean closes most of the gap
(Zhang et al., "Connect, collapse, corrupt", ICLR 2024). Hubs are rows that are near to every query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.types import FloatArray

__all__ = ["Moments", "Whitening", "centre", "csls", "inverted_softmax", "mean_of_top", "whitening"]

_Float64Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean and second moment of rows, which parts of a collection can be merged into.

    Attributes:
        count: how many rows went in.
        mean: (dim,) float64.
        scatter: (dim, dim) float64, the sum of outer products of the rows' deviations from the mean.
    """

    count: int
    mean: _Float64Array
    scatter: _Float64Array

    @classmethod
    def of(cls, rows: FloatArray) -> Moments:
        """The moments of rows (N, dim); N may be 0."""
        values = np.asarray(rows, dtype=np.float64)
        if values.ndim != 2:
            raise ValueError(f"rows must be (N, dim), got {values.shape}")
        mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
        deviations = values - mean
        return cls(len(values), mean, deviations.T @ deviations)

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of rows together, in any order, without seeing a row again.

        Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"moments of {self.mean.shape} and {other.mean.shape} do not merge")
        count = self.count + other.count
        if count == 0:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        between = np.outer(delta, delta) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> _Float64Array:
        """(dim, dim) population covariance; zeros without rows."""
        covariance: _Float64Array = self.scatter / max(self.count, 1)
        return covariance


def centre(rows: FloatArray, mean: npt.NDArray[np.floating]) -> FloatArray:
    """Rows (N, dim) minus a mean (dim,), of unit length again; a row that equals the mean becomes zero."""
    return _unit_rows(np.asarray(rows, dtype=np.float64) - mean)


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A linear map that makes a modality's rows uncorrelated: ``unit((row - mean) @ matrix)``.

    Attributes:
        mean: (dim,) float64.
        matrix: (dim, dim) float64, symmetric.
    """

    mean: _Float64Array
    matrix: _Float64Array

    def apply(self, rows: FloatArray) -> FloatArray:
        """Rows (N, dim) to whitened unit rows (N, dim)."""
        return _unit_rows((np.asarray(rows, dtype=np.float64) - self.mean) @ self.matrix)


def whitening(moments: Moments, *, shrinkage: float = 0.1) -> Whitening:
    """The symmetric (ZCA) whitening of a modality, which turns rows as little as whitening can.

    It maps each modality by itself and so keeps the axes that modalities share. Sources: Su et al.,
    "Whitening sentence representations for better semantics and faster retrieval", 2021; Kessy et al.,
    "Optimal whitening and decorrelation", 2018; shrinkage towards a multiple of the identity as in Ledoit
    and Wolf, 2004, with a fixed share.

    Args:
        moments: of the modality's rows.
        shrinkage: share of the average variance in every direction, in (0, 1]; it keeps directions without
            variance from exploding, and 1 only centres.
    """
    if not 0 < shrinkage <= 1:
        raise ValueError(f"shrinkage must be in (0, 1], got {shrinkage}")
    variances, axes = np.linalg.eigh(moments.covariance)
    average = max(float(variances.mean()), np.finfo(np.float64).tiny)
    scales = 1 / np.sqrt((1 - shrinkage) * np.maximum(variances, 0) / average + shrinkage)
    return Whitening(moments.mean, (axes * scales) @ axes.T)


def mean_of_top(scores: npt.NDArray[np.floating], k: int) -> _Float64Array:
    """Mean of the k highest scores of each row of (Q, N): (Q,); all of them when N < k."""
    count = min(k, scores.shape[1])
    if count < 1:
        raise ValueError(f"needs k >= 1 and at least one column, got k={k} and {scores.shape}")
    top = np.partition(np.asarray(scores, dtype=np.float64), scores.shape[1] - count, axis=1)[:, -count:]
    mean: _Float64Array = top.mean(axis=1)
    return mean


def csls(
    scores: npt.NDArray[np.floating], bank_scores: npt.NDArray[np.floating], *, k: int = 10
) -> _Float64Array:
    """Cross-domain similarity local scaling: hubs lose, lonely rows gain.

    ``2 * score(q, x) - r(q) - r(x)``, where r(q) is the mean score of a query's k nearest rows and r(x) that
    of a row's k nearest queries in a bank. Source: Conneau et al., "Word translation without parallel
    data", ICLR 2018.

    Args:
        scores: (Q, N), queries against rows.
        bank_scores: (B, N), a bank of other queries of that modality against the same rows.
        k: size of the neighbourhoods.

    Returns:
        (Q, N) corrected scores; higher is better.
    """
    _check_bank(scores, bank_scores)
    return 2 * scores - mean_of_top(scores, k)[:, None] - mean_of_top(bank_scores.T, k)[None, :]


def inverted_softmax(
    scores: npt.NDArray[np.floating], bank_scores: npt.NDArray[np.floating], *, temperature: float = 0.05
) -> _Float64Array:
    """Log of the inverted softmax: how much of a row's attention over a bank of queries this query takes.

    ``score / t - log(sum over the bank of exp(bank_score / t))``. Sources: Smith et al., "Offline bilingual
    word vectors, orthogonal transformations and the inverted softmax", ICLR 2017; for retrieval with a bank
    of queries, Bogolin et al., "Cross modal retrieval with querybank normalisation", CVPR 2022.

    Args:
        scores: (Q, N), queries against rows.
        bank_scores: (B, N), a bank of other queries of that modality against the same rows.
        temperature: > 0, in units of the scores; smaller corrects harder.

    Returns:
        (Q, N) corrected scores; higher is better.
    """
    _check_bank(scores, bank_scores)
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    scaled = np.asarray(bank_scores, dtype=np.float64) / temperature
    highest = scaled.max(axis=0)
    total = highest + np.log(np.exp(scaled - highest).sum(axis=0))
    corrected: _Float64Array = np.asarray(scores, dtype=np.float64) / temperature - total[None, :]
    return corrected


def _check_bank(scores: npt.NDArray[np.floating], bank_scores: npt.NDArray[np.floating]) -> None:
    if scores.ndim != 2 or bank_scores.ndim != 2 or scores.shape[1] != bank_scores.shape[1]:
        raise ValueError(
            f"scores (Q, N) and bank (B, N) must share N, got {scores.shape}, {bank_scores.shape}"
        )
    if not len(bank_scores):
        raise ValueError("the bank of queries is empty")


def _unit_rows(rows: _Float64Array) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    # What is left of a row that equals the mean is rounding, and must not be blown up to a direction.
    safe = np.where(lengths > 1e-6, lengths, np.inf)
    return (rows / safe).astype(np.float32)

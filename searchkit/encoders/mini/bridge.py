"""How towers that never met share a space: probabilities of named classes become words, words vectors.

ConSE (Norouzi et al., ICLR 2014) embeds a sample as the mean of the text embeddings of the names of its top
classes. Here it is used twice, on probabilities divided by their background: in the centred text space
("dense"), and in a space whose axes are everyday words ("anchors"), where two samples meet only if the same
words fit both.
Each part is centred on the background of its own modality, which closes the gap between modalities; both
parts together are whitened a part of the way, by what everyday words have in common.
This module is arithmetic on arrays; it knows no files and no media.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchkit.types import FloatArray

__all__ = ["ClassBridge", "FeatureHead", "TextBridge", "Whitening", "dequantise", "join", "unit"]


def unit(rows: FloatArray) -> FloatArray:
    """Rows (..., d) scaled to length 1."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.float32(1e-12)), dtype=np.float32)


def dequantise(codes: np.ndarray, scale: FloatArray) -> FloatArray:
    """The float32 matrix of int8 codes and a scale per row or column."""
    return np.asarray(codes.astype(np.float32) * scale, dtype=np.float32)


def join(anchors: FloatArray, dense: FloatArray, dense_weight: float) -> FloatArray:
    """(..., a) and (..., d) unit parts as one unit vector (..., a + d)."""
    return unit(np.concatenate([anchors, np.float32(dense_weight) * dense], axis=-1))


@dataclass(frozen=True)
class TextBridge:
    """From a text's unit embedding to the two parts.

    Attributes:
        anchors: (a, t) unit embeddings of the everyday words.
        temperature: of the softmax over their similarities.
        anchor_mean: (a,) background of the anchor part.
        dense_mean: (t,) background of the text embedding.
    """

    anchors: FloatArray
    temperature: float
    anchor_mean: FloatArray
    dense_mean: FloatArray

    def spread(self, embedding: FloatArray) -> FloatArray:
        """(..., t) to the distribution over everyday words (..., a)."""
        scores = embedding @ self.anchors.T / np.float32(self.temperature)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float32)

    def __call__(self, embedding: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Unit anchor part (..., a) and unit dense part (..., t)."""
        anchor = np.sqrt(self.spread(embedding)) - self.anchor_mean
        return unit(anchor), unit(embedding - self.dense_mean)


@dataclass(frozen=True)
class ClassBridge:
    """From the probabilities of named classes to the two parts.

    Attributes:
        gain: (c,) one over the background probability of each class; less for classes that name no source.
        top: how many classes take part.
        anchors: (c, a) each class's distribution over everyday words.
        dense: (c, t) each class's centred text embedding.
        anchor_mean: (a,) background of the anchor part.
        dense_mean: (t,) background of the dense part.
    """

    gain: FloatArray
    top: int
    anchors: FloatArray
    dense: FloatArray
    anchor_mean: FloatArray
    dense_mean: FloatArray

    def __call__(self, probabilities: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(c,) to the unit anchor part (a,) and the unit dense part (t,)."""
        weights = probabilities * self.gain
        chosen = np.argsort(-weights, kind="stable")[: self.top]
        # Never all zero: a softmax or sigmoid underflows only where the gain is far from it.
        share = np.asarray(weights[chosen] / max(float(weights[chosen].sum()), 1e-30), dtype=np.float32)
        # The square root turns an inner product of distributions into their Bhattacharyya coefficient.
        spread = np.asarray(share @ self.anchors[chosen], dtype=np.float32)
        anchor = unit(np.asarray(np.sqrt(spread), dtype=np.float32)) - self.anchor_mean
        return unit(anchor), unit(unit(share @ self.dense[chosen]) - self.dense_mean)


@dataclass(frozen=True)
class FeatureHead:
    """From a tower's features into the whitened space: one linear map, trained on drawings.

    Attributes:
        weight: (f, dim), bias: (dim,).
    """

    weight: FloatArray
    bias: FloatArray

    def __call__(self, features: FloatArray) -> FloatArray:
        """Features (..., f), non-negative, to unit vectors (..., dim)."""
        roots = np.sqrt(np.maximum(features, 0))
        return unit(np.asarray(roots @ self.weight + self.bias, dtype=np.float32))


@dataclass(frozen=True)
class Whitening:
    """Weakens what most words share, so that a vector says more of what is special to it.

    A part of the way to whitening (Su et al., "Whitening Sentence Representations", 2021), the same for all
    modalities, as a symmetric matrix kept as its diagonal and the rest.

    Attributes:
        diagonal: (dim,).
        rest: (dim, dim), zero on its diagonal.
    """

    diagonal: FloatArray
    rest: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Unit vectors (..., dim) to unit vectors (..., dim)."""
        return unit(np.asarray(rows * self.diagonal + rows @ self.rest, dtype=np.float32))

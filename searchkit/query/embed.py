"""From a query to one unit vector; files and the library reach it as functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.errors import ModalityUnsupported, QueryError, UnknownId
from searchkit.query.algebra import Audio, Image, Operand, Query, Reading, Segment, Text, Video
from searchkit.types import AudioSample, Encoder, FloatArray, Modality, Sample, Span, TextSample

__all__ = ["EmbeddedQuery", "Load", "embed_query"]

Load: TypeAlias = Callable[[Path, Modality], Sequence[Sample]]
_Float64Array: TypeAlias = npt.NDArray[np.float64]

# Below this share of the summed weights, what is left of a sum is rounding.
_CANCELLED = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedQuery:
    """A query as a vector, with what each term gave to it.

    Attributes:
        query: what was embedded.
        vector: (dim,) float32, unit length.
        term_vectors: (T, dim) float32, one unit row a term, in the query's order.
        shares: (T,) float32, the weights over the sum's length: ``vector = shares @ term_vectors``.
    """

    query: Query
    vector: FloatArray
    term_vectors: FloatArray
    shares: FloatArray

    @property
    def weights(self) -> tuple[float, ...]:
        """The terms' weights as they were written."""
        return tuple(term.weight for term in self.query.terms)

    def contributions(self, candidate: FloatArray) -> FloatArray:
        """What each term adds to a candidate's score: (T,) that sums to ``vector @ candidate``.

        Args:
            candidate: (dim,) unit vector of a segment.
        """
        contributions: FloatArray = (self.shares * (self.term_vectors @ candidate)).astype(np.float32)
        return contributions


def embed_query(
    query: Query,
    encoder: Encoder,
    *,
    load: Load,
    fetch: Callable[[int], FloatArray],
    centers: Mapping[Modality, FloatArray] | None = None,
    templates: Sequence[str] = ("{}",),
    modality_of: Callable[[int], Modality] | None = None,
) -> EmbeddedQuery:
    """Embed every term, normalise, weight, sum, normalise.

    The samples of one term (windows of a sound, frames of a video, prompts of a text) average. A video is
    the normalised mean of its frames plus that of its sound. All samples go through one ``encode`` call.
    The sum of normalised embeddings is ImageBind's arithmetic (Girdhar et al., CVPR 2023).

    Args:
        query: what to embed.
        encoder: must live in the space of the library that ``fetch`` reads.
        load: path and modality to samples; raises DecodeError for a broken file.
        fetch: segment id to its stored unit vector (dim,); raises UnknownId.
        centers: mean vectors (dim,) by modality, subtracted from each embedding before it is normalised
            again; a modality that is absent is not centred.
        templates: prompts for text terms, ``{}`` standing for the words.
        modality_of: modality of a stored segment, needed to centre it; without it segments stay as they are.

    Raises:
        QueryError: a file is missing, a segment unknown, a template has no ``{}``, a file has nothing to
            embed, or the terms cancel out.
        ModalityUnsupported: the encoder cannot embed a kind of term.
        DecodeError: a file is broken.
    """
    _check_templates(templates)
    for term in query.terms:
        _check_operand(term.operand, encoder)
    samples_of = [_samples(term.operand, encoder, load, templates) for term in query.terms]
    flat = [sample for samples in samples_of for sample in samples]
    rows = encoder.encode(flat).astype(np.float64) if flat else np.zeros((0, encoder.space.dim))
    vectors, start = [], 0
    for term, samples in zip(query.terms, samples_of, strict=True):
        if isinstance(term.operand, Segment):
            stored = _fetch(term.operand, fetch)
            modality = modality_of(term.operand.id) if centers and modality_of else None
            parts = [_centred(stored, modality, centers)]
        else:
            stop = start + len(samples)
            parts = _modality_means(samples, rows[start:stop], centers)
            start = stop
        vectors.append(_unit(np.sum(parts, axis=0), f"{term.operand} has no direction of its own"))
    return _weighted_sum(query, np.stack(vectors))


def _weighted_sum(query: Query, vectors: _Float64Array) -> EmbeddedQuery:
    weights = np.array([term.weight for term in query.terms], dtype=np.float64)
    largest = float(np.abs(weights).max())
    if largest == 0:
        raise QueryError(f"every weight is zero in: {query}", hint="give at least one term a weight")
    # Only ratios matter; scaling first keeps huge and tiny weights finite.
    weights /= largest
    total = weights @ vectors
    length = float(np.linalg.norm(total))
    if length <= _CANCELLED * float(np.abs(weights).sum()):
        raise QueryError(
            f"the terms cancel out, nothing is left to search for: {query}",
            hint="change a weight or remove a term",
        )
    return EmbeddedQuery(
        query=query,
        vector=(total / length).astype(np.float32),
        term_vectors=vectors.astype(np.float32),
        shares=(weights / length).astype(np.float32),
    )


def _check_templates(templates: Sequence[str]) -> None:
    for template in templates:
        if "{}" not in template:
            raise QueryError(
                f"a prompt needs {{}} where the words go, got {template!r}", hint="a photo of {}"
            )
    if not templates:
        raise QueryError("no prompt for text terms", hint='"{}" takes the words as they are')


def _check_operand(operand: Operand, encoder: Encoder) -> None:
    """Refuse what cannot be embedded before anything slow starts."""
    if isinstance(operand, Segment):
        return
    needed = {Modality.IMAGE, Modality.AUDIO} if isinstance(operand, Video) else {Modality(operand.kind)}
    if not needed & encoder.modalities:
        known = ", ".join(sorted(encoder.modalities))
        raise ModalityUnsupported(
            f"model {encoder.space.encoder!r} cannot embed {operand}: it knows no {operand.kind}",
            hint=f"use terms it knows ({known}), or another model: `searchkit models list`",
        )
    if isinstance(operand, Text):
        return
    path = Path(operand.path)
    if path.is_dir():
        raise QueryError(
            f"{path} is a folder, a query term needs a file", hint=f"type {operand.kind}:{path}/FILE"
        )
    if not path.exists():
        raise QueryError(
            f"no such file: {path}",
            hint=f"check the name in {operand}; to search for words, type text:{path.name!r}",
        )


def _samples(operand: Operand, encoder: Encoder, load: Load, templates: Sequence[str]) -> Sequence[Sample]:
    if isinstance(operand, Segment):
        return ()
    if isinstance(operand, Text):
        # Bytes of the command line that are no UTF-8 arrive as surrogates, which tokenizers refuse.
        words = operand.text.encode("utf-8", "replace").decode()
        return [TextSample(template.replace("{}", words)) for template in templates]
    loaded = load(Path(operand.path), Modality(operand.kind))
    samples = [sample for sample in loaded if sample.modality in encoder.modalities]
    if not isinstance(operand, Image) and not operand.is_whole:
        samples = list(_within(operand, samples))
    if not samples:
        raise QueryError(f"nothing to embed in {operand}", hint="check the span and the file")
    return samples


def _within(operand: Audio | Video | Reading, samples: Iterable[Sample]) -> Iterable[Sample]:
    """Samples that overlap the operand's span, sounds cut to it; one without times is taken whole."""
    stop_s = np.inf if operand.end_s is None else operand.end_s
    for sample in samples:
        span = sample.span
        if span is None and isinstance(sample, AudioSample):
            span = Span(0.0, sample.duration_s)
        if span is None:
            yield sample
        elif span.start_s < stop_s and operand.start_s < span.end_s:
            if isinstance(sample, AudioSample):
                first = max(0, round((operand.start_s - span.start_s) * sample.rate_hz))
                last = round((min(stop_s, span.end_s) - span.start_s) * sample.rate_hz)
                cut = sample.waveform[first : max(last, first + 1)]
                if len(cut):
                    yield AudioSample(cut, sample.rate_hz)
            else:
                yield sample


def _modality_means(
    samples: Sequence[Sample], rows: _Float64Array, centers: Mapping[Modality, FloatArray] | None
) -> list[_Float64Array]:
    """One unit mean for each modality among the samples, centred."""
    means = []
    for modality in sorted({sample.modality for sample in samples}):
        chosen = [sample.modality == modality for sample in samples]
        mean = _unit(rows[chosen].mean(axis=0), "the samples of a file cancel out")
        means.append(_centred(mean, modality, centers))
    return means


def _centred(
    vector: _Float64Array, modality: Modality | None, centers: Mapping[Modality, FloatArray] | None
) -> _Float64Array:
    if not centers or modality is None or modality not in centers:
        return vector
    return _unit(vector - centers[modality], f"a term equals the mean of all {modality} segments")


def _unit(vector: _Float64Array, otherwise: str) -> _Float64Array:
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length <= _CANCELLED:
        raise QueryError(otherwise, hint="choose another term, or search without centring")
    unit: _Float64Array = vector / length
    return unit


def _fetch(operand: Segment, fetch: Callable[[int], FloatArray]) -> _Float64Array:
    try:
        return np.asarray(fetch(operand.id), dtype=np.float64).reshape(-1)
    except UnknownId as error:
        raise QueryError(
            f"the library has no segment {operand.id}", hint="ids are the segment_id that `--json` shows"
        ) from error

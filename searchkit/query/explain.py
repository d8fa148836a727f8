"""Why a file is, or is not, among the results of a query; it computes nothing that a search does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.query.candidates import Candidate, Searchable, centred_rows
from searchkit.query.embed import EmbeddedQuery
from searchkit.query.filters import AllOf, Filter
from searchkit.types import Modality, Span

__all__ = ["Explanation", "FilterPart", "TermShare", "explain_candidate", "filter_parts"]

_DEPTH = 10_000


@dataclass(frozen=True, slots=True)
class TermShare:
    """What one term added to the score; the shares of all terms sum to it.

    Attributes:
        source: the term as text.
        weight: as written.
        similarity: cosine of the term alone and the segment.
        contribution: what it added.
    """

    source: str
    weight: float
    similarity: float
    contribution: float


@dataclass(frozen=True, slots=True)
class FilterPart:
    """One condition of the filter, and whether the file fulfils it."""

    source: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a file ranks where it does.

    Attributes:
        path: the file.
        modality: what it is.
        segment_id: its best segment for the query.
        span: that segment's part of it.
        terms: each term's share of the score.
        score: cosine of query and segment.
        z: how far the score lies above the collection's background, in its spreads.
        match: probability of being a match.
        collection: where the segment lies.
        collection_rank: its rank there, None beyond the first 10,000.
        collection_size: how many segments lie there.
        rank: the file's rank in the whole list, None when it is not among the first results or filtered out.
        ranks: its rank in each list that was fused by rank, by the list's name; empty without words.
        found_by: what found it: "vectors", "words", "name"; empty when it has no rank.
        filters: each condition of the filter.
        caption: the passage of the text beside it that says more than the file itself, so that the file has
            its rank by that; None where there is none.
        caption_match: probability of the passage being a match.
        copy_of: the file of equal content that stands for it in the list, at that rank; None for none.
    """

    path: Path
    modality: Modality
    segment_id: int
    span: Span | None
    terms: tuple[TermShare, ...]
    score: float
    z: float | None
    match: float | None
    collection: str
    collection_rank: int | None
    collection_size: int
    rank: int | None
    ranks: Mapping[str, int]
    found_by: tuple[str, ...]
    filters: tuple[FilterPart, ...]
    caption: str | None = None
    caption_match: float | None = None
    copy_of: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": str(self.path),
            "modality": self.modality.value,
            "segment_id": self.segment_id,
            "start_s": None if self.span is None else self.span.start_s,
            "end_s": None if self.span is None else self.span.end_s,
            "score": round(self.score, 6),
            "z": None if self.z is None else round(self.z, 3),
            "match": None if self.match is None else round(self.match, 4),
            "rank": self.rank,
            "ranks": dict(self.ranks),
            "found_by": list(self.found_by),
            "collection": self.collection,
            "collection_rank": self.collection_rank,
            "collection_size": self.collection_size,
            "terms": [
                {
                    "term": term.source,
                    "weight": term.weight,
                    "similarity": round(term.similarity, 6),
                    "contribution": round(term.contribution, 6),
                }
                for term in self.terms
            ],
            "filters": [{"filter": part.source, "passed": part.passed} for part in self.filters],
            "caption": self.caption,
            "caption_match": None if self.caption_match is None else round(self.caption_match, 4),
            "copy_of": None if self.copy_of is None else str(self.copy_of),
        }


def explain_candidate(
    embedded: EmbeddedQuery,
    candidate: Candidate,
    searchable: Searchable,
    *,
    rank: int | None,
    listed: Candidate | None = None,
    filters: Sequence[FilterPart] = (),
) -> Explanation:
    """Put together why a candidate has its score and rank.

    Args:
        embedded: the query.
        candidate: the file's best segment.
        searchable: the collection that holds it.
        rank: the file's rank in the whole list, None when it is not in it.
        listed: the file's candidate in that list, or that of the file of which it is a copy.
        filters: the filter's conditions.
    """
    vector = centred_rows(searchable.store.fetch([candidate.row.segment_id]), searchable.center)[0]
    shares = embedded.contributions(vector)
    similarities = embedded.term_vectors @ vector
    hits = searchable.store.search(embedded.vector[None, :], min(_DEPTH, len(searchable.store)))[0]
    ids = [hit.id for hit in hits]
    if searchable.center is not None and ids:
        rows = centred_rows(searchable.store.fetch(ids), searchable.center)
        ids = [ids[place] for place in np.argsort(-(rows @ embedded.vector), kind="stable")]
    row = candidate.row
    captioned = listed if listed and listed.row.text and row.modality is not Modality.TEXT else None
    return Explanation(
        path=Path(row.path),
        modality=row.modality,
        segment_id=row.segment_id,
        span=candidate.span,
        terms=tuple(
            TermShare(str(term.operand), term.weight, float(similarity), float(share))
            for term, similarity, share in zip(embedded.query.terms, similarities, shares, strict=True)
        ),
        score=candidate.score,
        z=candidate.z,
        match=candidate.match,
        collection=searchable.collection.name,
        collection_rank=ids.index(row.segment_id) + 1 if row.segment_id in ids else None,
        collection_size=len(searchable.store),
        rank=rank,
        ranks=listed.ranks if listed else {},
        found_by=listed.found_by if listed else (),
        filters=tuple(filters),
        caption=captioned.row.text if captioned else None,
        caption_match=captioned.match if captioned else None,
        copy_of=Path(listed.row.path) if listed and listed.row.asset_id != row.asset_id else None,
    )


def filter_parts(where: Filter | None) -> tuple[Filter, ...]:
    """The conditions that all must hold: the parts of an AND, else the filter itself."""
    if where is None:
        return ()
    return where.parts if isinstance(where, AllOf) else (where,)

"""From a query vector to results: searches collections, calibrates, fuses, joins with the catalog.

It opens nothing itself: stores and catalog are handed to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchkit.catalog import Catalog, segments
from searchkit.catalog.segments import SegmentRow
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.tables import Asset
from searchkit.errors import QueryError
from searchkit.query.calibrate import Background
from searchkit.query.diverse import maximal_marginal_relevance
from searchkit.query.filters import Filter
from searchkit.query.fuse import Located, first_per, merge_neighbours, reciprocal_rank_fusion
from searchkit.types import FloatArray, Hit, IdArray, Modality, Result, Span, VectorStore

__all__ = [
    "FUSIONS",
    "Candidate",
    "Searchable",
    "candidate_of",
    "find_candidates",
    "parse_modalities",
    "to_results",
]

FUSIONS = ("calibrated", "rrf")
"""How results of several modalities interleave: by surprise, or by reciprocal rank."""

_SLACK = 8
_DIVERSE_POOL = 5


@dataclass(frozen=True, slots=True, eq=False)
class Searchable:
    """A collection that can be searched: its row, its store, and a sample of its rows.

    Attributes:
        collection: its row in the catalog.
        store: its vectors.
        sample: (M, dim) rows that a query is scored against to see what scores mean.
    """

    collection: CollectionRef
    store: VectorStore
    sample: FloatArray


@dataclass(frozen=True, slots=True)
class Candidate:
    """A READY segment that was found.

    Attributes:
        row: the segment with its asset.
        span: its part of the asset; longer than the segment's where neighbours were merged.
        score: cosine of query and segment.
        surprise: the score on a scale that collections share; None where it could not be calibrated.
        match: probability of being a match, in [0, 1], or None.
        z: how far the score lies above the collection's background, in its spreads, or None.
        rank_score: what the list is sorted by.
        copies: other files with the same content.
    """

    row: SegmentRow
    span: Span | None
    score: float
    surprise: float | None
    match: float | None
    z: float | None
    rank_score: float = 0.0
    copies: tuple[str, ...] = ()


def find_candidates(
    vector: FloatArray,
    *,
    catalog: Catalog,
    searched: Sequence[Searchable],
    k: int,
    where: Filter | None = None,
    spans: bool = False,
    diverse: bool = False,
    fusion: str = "calibrated",
    without: frozenset[int] = frozenset(),
) -> list[Candidate]:
    """The best assets (or spans) for a query vector, best first.

    Raw cosines of different modalities lie on different scales. So each score is judged against the
    collection's own background, and collections interleave by how surprising their scores are
    (``searchkit.query.calibrate``). Where a collection is too small to be judged, all interleave by
    reciprocal rank (Cormack et al., SIGIR 2009).

    Args:
        vector: (dim,) unit vector.
        catalog: knows the segments.
        searched: what to search.
        k: how many candidates at most, >= 1.
        where: the only assets to find, applied before the best are taken.
        spans: keep every matching span instead of the best of each asset; neighbours are merged.
        diverse: prefer candidates that differ from those before (maximal marginal relevance).
        fusion: "calibrated" or "rrf".
        without: segments that must not be found, such as those the query names.
    """
    wanted = k * _DIVERSE_POOL if diverse else k
    found: list[Candidate] = []
    vectors: dict[int, Searchable] = {}
    for searchable in searched:
        part = _candidates(vector, catalog, searchable, wanted, where, spans, without)
        vectors.update({candidate.row.segment_id: searchable for candidate in part})
        found += part
    calibrated = fusion == "calibrated" and all(entry.surprise is not None for entry in found)
    ranked = _by_surprise(found) if calibrated else _by_rank(found)
    ranked = _merged(ranked) if spans else first_per(ranked, lambda entry: entry.row.asset_id)
    ranked = _without_copies(ranked)
    if diverse and len(ranked) > 1:
        pool = ranked[:wanted]
        rows = np.stack(
            [vectors[entry.row.segment_id].store.fetch([entry.row.segment_id])[0] for entry in pool]
        )
        order = maximal_marginal_relevance(np.array([entry.rank_score for entry in pool]), rows, k)
        ranked = [pool[position] for position in order]
    return ranked[:k]


def to_results(candidates: Sequence[Candidate]) -> list[Result]:
    """Candidates as results, ranked from 1."""
    return [
        Result(
            rank=rank,
            path=Path(entry.row.path),
            modality=entry.row.modality,
            score=entry.score,
            span=entry.span,
            asset_id=entry.row.asset_id,
            segment_id=entry.row.segment_id,
            text=entry.row.text,
            match=entry.match,
            z=entry.z,
            copies=tuple(Path(copy) for copy in entry.copies),
        )
        for rank, entry in enumerate(candidates, start=1)
    ]


def candidate_of(
    vector: FloatArray, catalog: Catalog, searchable: Searchable, asset_id: int, where: Filter | None = None
) -> Candidate | None:
    """An asset's best segment in a collection, judged as a search would judge it; None when it has none."""
    size = _size(catalog, searchable, where)[0]
    with catalog.read() as connection:
        own = segments.ids_where(connection, searchable.collection.id, Asset.id == asset_id)
    if not own:
        return None
    found = _ready_hits(vector, catalog, searchable.store, 1, len(own), False, np.array(own, dtype=np.int64))
    judged = _judge(vector, searchable, max(size, 1), found)
    return judged[0] if judged else None


def _candidates(
    vector: FloatArray,
    catalog: Catalog,
    searchable: Searchable,
    wanted: int,
    where: Filter | None,
    spans: bool,
    without: frozenset[int],
) -> list[Candidate]:
    size, among = _size(catalog, searchable, where)
    if size == 0:
        return []
    found = _ready_hits(vector, catalog, searchable.store, wanted + len(without), size, spans, among)
    return _judge(vector, searchable, size, [pair for pair in found if pair[0].id not in without])


def _size(catalog: Catalog, searchable: Searchable, where: Filter | None) -> tuple[int, IdArray | None]:
    """How many rows a search looks at, and which: None for all."""
    if where is None:
        return len(searchable.store), None
    with catalog.read() as connection:
        ids = segments.ids_where(connection, searchable.collection.id, where.sql())
    return len(ids), np.array(ids, dtype=np.int64)


def _judge(
    vector: FloatArray, searchable: Searchable, size: int, found: Sequence[tuple[Hit, SegmentRow]]
) -> list[Candidate]:
    background = Background.of(searchable.sample @ vector, size) if len(searchable.sample) else None
    return [
        Candidate(
            row=row,
            span=_span(row),
            score=hit.score,
            surprise=background.surprise(hit.score) if background else None,
            match=background.probability(hit.score) if background else None,
            z=background.z(hit.score) if background else None,
        )
        for hit, row in found
    ]


def _ready_hits(
    vector: FloatArray,
    catalog: Catalog,
    store: VectorStore,
    wanted: int,
    size: int,
    spans: bool,
    among: IdArray | None,
) -> list[tuple[Hit, SegmentRow]]:
    """Hits whose segments are READY, from ever longer lists until enough assets are among them."""
    depth = min(size, 2 * wanted + _SLACK)
    while True:
        hits = store.search(vector[None, :], depth, among=among)[0]
        with catalog.read() as connection:
            rows = segments.join(connection, [hit.id for hit in hits])
        ready = [(hit, rows[hit.id]) for hit in hits if hit.id in rows]
        distinct = len(ready) if spans else len({row.asset_id for _, row in ready})
        if distinct >= wanted or len(hits) < depth or depth >= size:
            return ready
        depth = min(size, depth * 4)


def _by_surprise(found: Sequence[Candidate]) -> list[Candidate]:
    scored = [replace(entry, rank_score=entry.surprise or 0.0) for entry in found]
    return sorted(scored, key=lambda entry: (-entry.rank_score, entry.row.segment_id))


def _by_rank(found: Sequence[Candidate]) -> list[Candidate]:
    """Interleave modalities rank by rank; a video's frames and sound are one list, by cosine."""
    lists: dict[str, list[Candidate]] = {}
    for entry in sorted(found, key=lambda entry: (-entry.score, entry.row.segment_id)):
        lists.setdefault(entry.row.modality.value, []).append(entry)
    by_id = {entry.row.segment_id: entry for entry in found}
    fused = reciprocal_rank_fusion(
        {name: [Hit(e.row.segment_id, e.score) for e in ranked] for name, ranked in lists.items()}
    )
    return [replace(by_id[hit.id], rank_score=hit.score) for hit in fused]


def _merged(ranked: Sequence[Candidate]) -> list[Candidate]:
    by_id = {entry.row.segment_id: entry for entry in ranked}
    located = [
        Located(entry.row.segment_id, entry.row.asset_id, entry.row.encoded_as, entry.rank_score, entry.span)
        for entry in ranked
    ]
    return [replace(by_id[hit.id], span=hit.span) for hit in merge_neighbours(located)]


def _without_copies(ranked: Sequence[Candidate]) -> list[Candidate]:
    """One candidate for files of equal content (and span); it names the others."""
    kept: dict[object, Candidate] = {}
    for entry in ranked:
        key = (entry.row.content_hash or entry.row.asset_id, entry.span)
        if key in kept:
            kept[key] = replace(kept[key], copies=(*kept[key].copies, entry.row.path))
        else:
            kept[key] = entry
    return list(kept.values())


def _span(row: SegmentRow) -> Span | None:
    if row.start_s is None or row.end_s is None:
        return None
    return Span(row.start_s, row.end_s)


def parse_modalities(to: str | Modality | Sequence[str | Modality] | None) -> tuple[Modality, ...]:
    """The modalities to find, from names, a comma-separated list, or None for all.

    Raises:
        QueryError: a name is none of text, image, audio, video.
    """
    if to is None:
        return tuple(Modality)
    names = to.split(",") if isinstance(to, str) else [str(name) for name in to]
    chosen: list[Modality] = []
    for name in names:
        try:
            modality = Modality(name.strip().lower())
        except ValueError:
            raise QueryError(
                f"{name.strip()!r} is not a modality", hint=f"choose from {', '.join(Modality)}"
            ) from None
        if modality not in chosen:
            chosen.append(modality)
    return tuple(chosen)

"""Candidates: segments that a query finds in a collection, judged against the collection's background.

It opens nothing itself: stores and catalog are handed to it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import ColumnElement

from searchkit.catalog import Catalog, segments
from searchkit.catalog.segments import SegmentRow
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.tables import Asset
from searchkit.query.calibrate import Background
from searchkit.query.conditions import to_condition
from searchkit.query.evidence import Evidence, match_log_odds, match_probability
from searchkit.query.filters import Filter
from searchkit.query.gap import centre
from searchkit.stores.conditions import Condition, FieldStore
from searchkit.types import FloatArray, Hit, IdArray, Span, VectorStore

__all__ = [
    "Candidate",
    "Searchable",
    "candidate_of",
    "candidates_among",
    "centred_rows",
    "nearest_candidates",
]

_SLACK = 8
_CENTRED_POOL = 4


@dataclass(frozen=True, slots=True, eq=False)
class Searchable:
    """A collection that can be searched: its row, its store, and a sample of its rows.

    Attributes:
        collection: its row in the catalog.
        store: its vectors.
        sample: (M, dim) rows that a query is scored against to see what scores mean.
        evidence: what this query's scores say there, for an encoder that was measured; None for others.
        center: (dim,) mean that is subtracted from its rows before they are compared, or None.
    """

    collection: CollectionRef
    store: VectorStore
    sample: FloatArray
    evidence: Evidence | None = None
    center: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A READY segment that was found.

    Attributes:
        row: the segment with its asset.
        span: its part of the asset; longer than the segment's where neighbours were merged.
        score: cosine of query and segment.
        strength: the score on a scale that collections share; None where it could not be calibrated.
        match: probability of being a match, in [0, 1], or None.
        z: how far the score lies above the collection's background, in its spreads, or None.
        rank_score: what the list is sorted by.
        copies: other files with the same content.
        ranks: its rank in each list that was fused, by name; empty when only vectors were searched.
        found_by: "vectors", "words", "name".
    """

    row: SegmentRow
    span: Span | None
    score: float
    strength: float | None
    match: float | None
    z: float | None
    rank_score: float = 0.0
    copies: tuple[str, ...] = ()
    ranks: Mapping[str, int] = field(default_factory=dict)
    found_by: tuple[str, ...] = ("vectors",)


def nearest_candidates(
    vector: FloatArray,
    catalog: Catalog,
    searchable: Searchable,
    wanted: int,
    *,
    where: Filter | None = None,
    spans: bool = False,
    without: frozenset[int] = frozenset(),
) -> list[Candidate]:
    """A collection's nearest READY segments, enough for ``wanted`` assets (or spans) if it has them.

    Args:
        vector: (dim,) unit vector.
        catalog: knows the segments.
        searchable: the collection.
        wanted: how many assets, or spans, are needed.
        where: the only assets to find.
        spans: count spans, not assets.
        without: segments that must not be found.
    """
    allowed = _allowed(catalog, searchable, where)
    if allowed.size == 0:
        return []
    deep = wanted * (1 if searchable.center is None else _CENTRED_POOL) + len(without)
    found = _ready_hits(vector, catalog, searchable.store, deep, spans, allowed)
    return _judge(vector, searchable, allowed.size, [pair for pair in found if pair[0].id not in without])


def candidates_among(
    vector: FloatArray,
    catalog: Catalog,
    searchable: Searchable,
    condition: ColumnElement[bool],
    where: Filter | None = None,
) -> list[Candidate]:
    """All segments of a collection that fulfil a condition, judged as a search would judge them, best first.

    Args:
        vector: (dim,) unit vector.
        catalog: knows the segments.
        searchable: the collection.
        condition: over ``segments`` and ``assets``; it does not narrow what a score is judged against.
        where: the search's filter, which does.
    """
    with catalog.read() as connection:
        wanted = condition if where is None else condition & where.sql()
        own = segments.ids_where(connection, searchable.collection.id, wanted)
    if not own:
        return []
    found = _ready_hits(vector, catalog, searchable.store, len(own), True, _Allowed.among(own))
    return _judge(vector, searchable, max(_allowed(catalog, searchable, where).size, 1), found)


def candidate_of(
    vector: FloatArray, catalog: Catalog, searchable: Searchable, asset_id: int, where: Filter | None = None
) -> Candidate | None:
    """An asset's best segment in a collection, even one that the filter bars; None without any."""
    size = max(_allowed(catalog, searchable, where).size, 1)
    with catalog.read() as connection:
        own = segments.ids_where(connection, searchable.collection.id, Asset.id == asset_id)
    if not own:
        return None
    found = _ready_hits(vector, catalog, searchable.store, 1, False, _Allowed.among(own))
    judged = _judge(vector, searchable, size, found)
    return judged[0] if judged else None


@dataclass(frozen=True, slots=True, eq=False)
class _Allowed:
    """The rows that a search may find: how many, and which, by their ids or by their fields; else all.

    Fields may differ from the catalog after a kill, so that what they let through is held against the
    ``where`` that they stand for.
    """

    size: int
    ids: IdArray | None = None
    condition: Condition | None = None
    where: ColumnElement[bool] | None = None

    @classmethod
    def among(cls, ids: Sequence[int]) -> _Allowed:
        """Only those ids."""
        return cls(len(ids), np.array(ids, dtype=np.int64))

    def search(self, store: VectorStore, vector: FloatArray, k: int) -> list[Hit]:
        """The k best of them."""
        if self.condition is not None and isinstance(store, FieldStore):
            return store.search_where(vector[None, :], k, self.condition)[0]
        return store.search(vector[None, :], k, among=self.ids)[0]


def _allowed(catalog: Catalog, searchable: Searchable, where: Filter | None) -> _Allowed:
    store, collection_id = searchable.store, searchable.collection.id
    if where is None:
        return _Allowed(len(store))
    if isinstance(store, FieldStore) and (condition := to_condition(where)) and store.has_all_fields():
        with catalog.read() as connection:
            size = segments.count_where(connection, collection_id, where.sql())
        return _Allowed(size, condition=condition, where=where.sql())
    with catalog.read() as connection:
        return _Allowed.among(segments.ids_where(connection, collection_id, where.sql()))


def _judge(
    vector: FloatArray, searchable: Searchable, size: int, found: Sequence[tuple[Hit, SegmentRow]]
) -> list[Candidate]:
    rows = centred_rows(searchable.sample, searchable.center)
    # Not by BLAS: its threads wait for each other longer than this takes when the cores are busy.
    background = Background.of(np.einsum("nd,d->n", rows, vector), size)
    judged = []
    for hit, row in _centred_hits(vector, searchable, found):
        strength, match, z = None, None, background.z(hit.score) if background else None
        if searchable.evidence is not None:
            weight = searchable.evidence.of(hit.score)
            strength, match = match_log_odds(weight, size), match_probability(weight, size)
        elif background is not None:
            strength, match = background.surprise(hit.score), background.probability(hit.score)
        judged.append(Candidate(row, _span(row), hit.score, strength, match, z))
    return judged


def centred_rows(rows: FloatArray, center: FloatArray | None) -> FloatArray:
    """Rows (N, dim) as they are compared: minus the center, of unit length again, where there is one."""
    return rows if center is None else centre(rows, center)


def _centred_hits(
    vector: FloatArray, searchable: Searchable, found: Sequence[tuple[Hit, SegmentRow]]
) -> Sequence[tuple[Hit, SegmentRow]]:
    """The hits with the scores of centred rows, best first, which the store does not know."""
    if searchable.center is None or not found:
        return found
    rows = centred_rows(searchable.store.fetch([hit.id for hit, _ in found]), searchable.center)
    scored = [
        (Hit(hit.id, float(score)), row) for (hit, row), score in zip(found, rows @ vector, strict=True)
    ]
    return sorted(scored, key=lambda pair: (-pair[0].score, pair[0].id))


def _ready_hits(
    vector: FloatArray,
    catalog: Catalog,
    store: VectorStore,
    wanted: int,
    spans: bool,
    allowed: _Allowed,
) -> list[tuple[Hit, SegmentRow]]:
    """Hits whose segments are READY, from ever longer lists until enough assets are among them."""
    # fields may let through more than the catalog counts
    most = allowed.size if allowed.condition is None else sys.maxsize
    depth = min(most, 2 * wanted + _SLACK)
    while True:
        hits = allowed.search(store, vector, depth)
        with catalog.read() as connection:
            rows = segments.join(connection, [hit.id for hit in hits], where=allowed.where)
        ready = [(hit, rows[hit.id]) for hit in hits if hit.id in rows]
        distinct = len(ready) if spans else len({row.asset_id for _, row in ready})
        if distinct >= wanted or len(hits) < depth or depth >= most:
            return ready
        depth = min(most, depth * 4)


def _span(row: SegmentRow) -> Span | None:
    if row.start_s is None or row.end_s is None:
        return None
    return Span(row.start_s, row.end_s)

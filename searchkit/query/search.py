"""From an embedded query to results: searches collections, joins hits with the catalog, keeps k assets.

It opens nothing itself: stores and catalog are handed to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from searchkit.catalog import Catalog, segments
from searchkit.catalog.segments import SegmentRow
from searchkit.catalog.spaces import CollectionRef
from searchkit.errors import QueryError
from searchkit.query.filters import Filter
from searchkit.query.fuse import reciprocal_rank_fusion
from searchkit.types import FloatArray, Hit, IdArray, Modality, Result, Span, VectorStore

__all__ = ["parse_modalities", "search_collections"]

_SLACK = 8


def search_collections(
    vector: FloatArray,
    *,
    catalog: Catalog,
    collections: Sequence[tuple[CollectionRef, VectorStore]],
    k: int,
    where: Filter | None = None,
    spans: bool = False,
) -> list[Result]:
    """The k best assets (or segments) for a query vector.

    Each collection is ranked by cosine. A video's frames and sound are ranked as one list by their best
    segment; lists of several modalities are interleaved by reciprocal rank fusion, since raw cosines of
    different modalities lie on different scales.

    Args:
        vector: (dim,) unit vector.
        catalog: knows the segments.
        collections: what to search, with the stores that hold it.
        k: how many results at most, >= 1.
        where: the only assets to find, applied before the best are taken.
        spans: keep every segment instead of the best of each asset.
    """
    rows: dict[int, SegmentRow] = {}
    lists: dict[Modality, list[Hit]] = {}
    for collection, store in collections:
        among = None
        if where is not None:
            with catalog.read() as connection:
                among = np.array(segments.ids_where(connection, collection.id, where.sql()), dtype=np.int64)
        hits = _ready_hits(vector, catalog, store, k, spans, among, rows)
        lists.setdefault(collection.modality, []).extend(hits)
    rankings: dict[str, list[Hit]] = {}
    for modality, hits in lists.items():
        ranked = sorted(hits, key=lambda hit: (-hit.score, hit.id))
        rankings[modality.value] = _distinct(ranked, rows, k, spans)
    fused = reciprocal_rank_fusion(rankings)[:k]
    return [
        _result(rank, rows[hit.id], next(iter(hit.scores.values())))
        for rank, hit in enumerate(fused, start=1)
    ]


def _ready_hits(
    vector: FloatArray,
    catalog: Catalog,
    store: VectorStore,
    k: int,
    spans: bool,
    among: IdArray | None,
    rows: dict[int, SegmentRow],
) -> list[Hit]:
    """Hits whose segments are READY, from ever longer lists until k assets are among them."""
    size = len(store) if among is None else len(among)
    depth = min(size, 2 * k + _SLACK)
    while depth > 0:
        hits = store.search(vector[None, :], depth, among=among)[0]
        with catalog.read() as connection:
            joined = segments.join(connection, [hit.id for hit in hits])
        ready = [hit for hit in hits if hit.id in joined]
        assets = {joined[hit.id].asset_id for hit in ready}
        if (len(ready) if spans else len(assets)) >= k or len(hits) < depth or depth >= size:
            rows.update(joined)
            return ready
        depth = min(size, depth * 4)
    return []


def _distinct(hits: Sequence[Hit], rows: Mapping[int, SegmentRow], k: int, spans: bool) -> list[Hit]:
    if spans:
        return list(hits[:k])
    seen: set[int] = set()
    kept: list[Hit] = []
    for hit in hits:
        asset_id = rows[hit.id].asset_id
        if asset_id not in seen:
            seen.add(asset_id)
            kept.append(hit)
    return kept[:k]


def _result(rank: int, row: SegmentRow, score: float) -> Result:
    span = None
    if row.start_s is not None and row.end_s is not None:
        span = Span(row.start_s, row.end_s)
    return Result(
        rank=rank,
        path=Path(row.path),
        modality=row.modality,
        score=score,
        span=span,
        asset_id=row.asset_id,
        segment_id=row.segment_id,
        text=row.text,
    )


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

"""Lets a text speak for the file that it lies beside: ``dog.txt`` or ``dog.jpg.txt`` for ``dog.jpg``.

A caption is a text of the library like any other, embedded once, so that nothing about it can be out of date:
which file it describes is looked up when a query finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import true

from searchkit.catalog import Catalog
from searchkit.catalog.tables import Asset
from searchkit.catalog.word_search import described_by
from searchkit.query.candidates import Candidate, Searchable, candidates_among, nearest_candidates
from searchkit.query.filters import Filter
from searchkit.types import FloatArray, Modality

__all__ = ["with_captions"]

_DEPTH = 50


def with_captions(
    found: Sequence[Candidate],
    vector: FloatArray,
    catalog: Catalog,
    searched: Sequence[Searchable],
    captions: Sequence[Searchable],
    where: Filter | None,
) -> list[Candidate]:
    """Candidates, among them the files that the nearest texts describe; in no order.

    A file counts as its caption does where that says more for a match than the file itself: on the scale that
    collections share, or by spreads above the background; where there is neither it stays as it is.

    Args:
        found: what was found in the searched collections.
        vector: (dim,) the query.
        catalog: knows which files lie beside each other.
        searched: the collections that are searched.
        captions: collections of texts, which may be among them.
        where: the only assets to find; a caption need not fulfil it.
    """
    modalities = {s.collection.modality for s in searched} - {Modality.TEXT}
    if not modalities or not captions:
        return list(found)
    if where is None and {s.collection.id for s in captions} <= {s.collection.id for s in searched}:
        near = [entry for entry in found if entry.row.modality is Modality.TEXT]
    else:
        near = [entry for s in captions for entry in nearest_candidates(vector, catalog, s, _DEPTH)]
    texts = _best_of_files(near)
    condition = true() if where is None else where.sql()
    with catalog.read() as connection:
        described = described_by(connection, list(texts), modalities, where=condition)
    best = {
        asset_id: max((texts[text] for text in beside), key=_weight) for asset_id, beside in described.items()
    }
    missing = best.keys() - {entry.row.asset_id for entry in found}
    others = [
        entry
        for searchable in searched
        if missing and searchable.collection.modality in modalities
        for entry in candidates_among(vector, catalog, searchable, Asset.id.in_(missing), where)
    ]
    own = _best_of_files(entry for entry in (*found, *others) if entry.row.asset_id in best)
    spoken = {
        entry.row.segment_id: _spoken_for(entry, best[asset_id])
        for asset_id, entry in own.items()
        if _says_more(best[asset_id], entry)
    }
    kept = [spoken.pop(entry.row.segment_id, entry) for entry in found]
    return [*kept, *spoken.values()]


def _best_of_files(entries: Iterable[Candidate]) -> dict[int, Candidate]:
    """The best candidate of each file, by asset, best first."""
    best: dict[int, Candidate] = {}
    for entry in sorted(entries, key=_weight, reverse=True):
        best.setdefault(entry.row.asset_id, entry)
    return best


def _weight(entry: Candidate) -> tuple[float, float]:
    return (entry.score if entry.strength is None else entry.strength, entry.score)


def _says_more(caption: Candidate, own: Candidate) -> bool:
    if caption.strength is not None and own.strength is not None:
        return caption.strength > own.strength
    return caption.z is not None and own.z is not None and caption.z > own.z


def _spoken_for(own: Candidate, caption: Candidate) -> Candidate:
    """A file by what its caption says, with the passage that was found, and its time where it has one."""
    return replace(
        own,
        row=replace(own.row, text=caption.row.text),
        span=caption.span or own.span,
        score=caption.score,
        strength=caption.strength,
        match=caption.match,
        z=caption.z,
    )

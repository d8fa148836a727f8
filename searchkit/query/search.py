"""From a query vector to results: ranks the candidates of all collections, by vectors, by words and by name.

It opens nothing itself: stores and catalog are handed to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchkit.catalog import Catalog
from searchkit.catalog.tables import Asset
from searchkit.errors import QueryError
from searchkit.query.calibrate import CUTOFF
from searchkit.query.candidates import Candidate, Searchable, candidates_among, nearest_candidates
from searchkit.query.captions import with_captions
from searchkit.query.diverse import maximal_marginal_relevance
from searchkit.query.filters import Filter
from searchkit.query.fuse import Located, first_per, merge_neighbours, reciprocal_rank_fusion
from searchkit.query.hybrid import WordSearch, with_words
from searchkit.types import FloatArray, Hit, Modality, Result

__all__ = ["FUSIONS", "Search", "find_candidates", "parse_modalities", "to_results"]

FUSIONS = ("calibrated", "rrf")
"""How results of several modalities interleave: by what their scores mean, or by reciprocal rank."""

_DIVERSE_POOL = 5
_SPANS_POOL = 4
# A moment must be at least so probable, measured by its file's best, to be joined with that.
_MERGED_SHARE = 0.5
_HYBRID_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Search:
    """How to search.

    Attributes:
        k: how many candidates at most, >= 1.
        where: the only assets to find, applied before the best are taken.
        spans: keep every matching span instead of the best of each asset; neighbours are merged.
        diverse: prefer candidates that differ from those before (maximal marginal relevance).
        fusion: one of FUSIONS.
        cutoff: the probability of a match from which neighbouring spans are merged.
        without: segments that must not be found, such as those the query names.
        words: what to search by word as well, or None.
        named: assets that the query calls by their name, which come first.
        captions: collections of texts that may speak for the files that they lie beside.
    """

    k: int = 10
    where: Filter | None = None
    spans: bool = False
    diverse: bool = False
    fusion: str = FUSIONS[0]
    cutoff: float = CUTOFF
    without: frozenset[int] = frozenset()
    words: WordSearch | None = None
    named: tuple[int, ...] = ()
    captions: tuple[Searchable, ...] = ()


def find_candidates(
    vector: FloatArray, catalog: Catalog, searched: Sequence[Searchable], search: Search
) -> list[Candidate]:
    """The best assets (or spans) for a query vector, best first.

    Raw cosines of different modalities lie on different scales. So collections interleave by how likely a
    match each score is, where the encoder was measured (``searchkit.query.evidence``), else by how
    surprising it is among the collection's own rows (``searchkit.query.calibrate``). Where a collection is
    too small to be judged so, all interleave by reciprocal rank (Cormack et al., SIGIR 2009).

    Args:
        vector: (dim,) unit vector.
        catalog: knows the segments.
        searched: what to search.
        search: how.
    """
    wanted = search.k * (_DIVERSE_POOL if search.diverse else _SPANS_POOL if search.spans else 1)
    if search.words is not None:
        wanted = max(wanted, _HYBRID_DEPTH)
    ranked = _nearest(vector, catalog, searched, wanted, search)
    if search.words is not None:
        ranked = with_words(
            ranked,
            vector,
            catalog,
            searched,
            search.words,
            search.where,
            spans=search.spans,
            depth=_HYBRID_DEPTH,
        )
    first = _named(vector, catalog, searched, search)
    called = {entry.row.asset_id for entry in first}
    ranked = _without_copies([*first, *(entry for entry in ranked if entry.row.asset_id not in called)])
    if search.diverse:
        ranked = _diverse(ranked, searched, search.k)
    return ranked[: search.k]


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
            found_by=entry.found_by,
        )
        for rank, entry in enumerate(candidates, start=1)
    ]


def _nearest(
    vector: FloatArray, catalog: Catalog, searched: Sequence[Searchable], wanted: int, search: Search
) -> list[Candidate]:
    """What vectors find, fused over the collections; the best of each asset, or merged spans."""
    found = [
        candidate
        for searchable in searched
        for candidate in nearest_candidates(
            vector,
            catalog,
            searchable,
            wanted,
            where=search.where,
            spans=search.spans,
            without=search.without,
        )
    ]
    found = with_captions(found, vector, catalog, searched, search.captions, search.where)
    calibrated = search.fusion == FUSIONS[0] and all(entry.strength is not None for entry in found)
    ranked = _by_strength(found) if calibrated else _by_rank(found)
    if search.spans:
        return _merged(ranked, search.cutoff)
    return first_per(ranked, lambda entry: entry.row.asset_id)


def _named(
    vector: FloatArray, catalog: Catalog, searched: Sequence[Searchable], search: Search
) -> list[Candidate]:
    """The assets that the query calls by name, each by its best segment, in the order of their names."""
    if not search.named:
        return []
    condition = Asset.id.in_(search.named)
    best: dict[int, Candidate] = {}
    for searchable in searched:
        for entry in candidates_among(vector, catalog, searchable, condition, search.where):
            best.setdefault(entry.row.asset_id, replace(entry, found_by=("name",)))
    return [best[asset_id] for asset_id in search.named if asset_id in best]


def _diverse(ranked: Sequence[Candidate], searched: Sequence[Searchable], k: int) -> list[Candidate]:
    """The best candidates in an order in which each also differs from those before; named ones stay first."""
    named = [entry for entry in ranked if "name" in entry.found_by]
    pool = [entry for entry in ranked if "name" not in entry.found_by][: k * _DIVERSE_POOL]
    if len(pool) < 2:
        return [*named, *pool]
    stores = {(s.collection.modality, s.collection.encoded_as): s.store for s in searched}
    rows = np.stack([stores[e.row.modality, e.row.encoded_as].fetch([e.row.segment_id])[0] for e in pool])
    order = maximal_marginal_relevance(np.array([entry.rank_score for entry in pool]), rows, k)
    return [*named, *(pool[position] for position in order)]


def _by_strength(found: Sequence[Candidate]) -> list[Candidate]:
    scored = [replace(entry, rank_score=entry.strength or 0.0) for entry in found]
    return sorted(scored, key=lambda entry: (-entry.rank_score, -entry.score, entry.row.segment_id))


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


def _merged(ranked: Sequence[Candidate], cutoff: float) -> list[Candidate]:
    """Neighbouring spans as one where they match about as well: a span should say where the match is."""
    best: dict[tuple[int, Modality], float] = {}
    clear: list[Located] = []
    faint: list[Located] = []
    for entry in ranked:
        if entry.match is None or entry.match < cutoff:
            continue
        row = entry.row
        of_file = best.setdefault((row.asset_id, row.encoded_as), entry.match)
        hit = Located(row.segment_id, row.asset_id, row.encoded_as, entry.rank_score, entry.span)
        (clear if entry.match >= _MERGED_SHARE * of_file else faint).append(hit)
    spans = {hit.id: hit.span for hits in (clear, faint) for hit in merge_neighbours(hits)}
    gone = {hit.id for hit in (*clear, *faint)} - spans.keys()
    return [
        replace(entry, span=spans.get(entry.row.segment_id, entry.span))
        for entry in ranked
        if entry.row.segment_id not in gone
    ]


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


def parse_modalities(to: str | Modality | Sequence[str | Modality] | None) -> tuple[Modality, ...]:
    """The modalities to find, from names, a comma-separated list, or None for all.

    Raises:
        QueryError: a name is no modality's.
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

"""Search by word beside vectors: names, folders, titles, passages and the texts that lie beside files.

The lists are fused by reciprocal rank (Cormack et al., SIGIR 2009), as their scores share no scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import or_, true

from searchkit.catalog import Catalog
from searchkit.catalog.tables import Asset, Segment
from searchkit.catalog.word_search import WordHit, beside_texts, find_names, find_passages
from searchkit.query.algebra import Query, Text
from searchkit.query.candidates import Candidate, Searchable, candidates_among
from searchkit.query.filters import Filter
from searchkit.query.fuse import reciprocal_rank_fusion
from searchkit.types import FloatArray, Hit, Modality

__all__ = ["WordSearch", "with_words", "words_of_query"]


@dataclass(frozen=True, slots=True)
class WordSearch:
    """What to search by word, and the key of the space whose passages count."""

    text: str
    space_id: int


def words_of_query(query: Query) -> str:
    """The words of a query's positive text terms; "" when it has none."""
    return " ".join(
        term.operand.text for term in query.terms if isinstance(term.operand, Text) and term.weight > 0
    )


def with_words(
    ranked: Sequence[Candidate],
    vector: FloatArray,
    catalog: Catalog,
    searched: Sequence[Searchable],
    words: WordSearch,
    where: Filter | None,
    *,
    spans: bool,
    depth: int,
) -> list[Candidate]:
    """A ranked list fused with what words find.

    Args:
        ranked: what vectors found, best first.
        vector: (dim,) the query, to judge what only words found.
        catalog: knows the words.
        searched: the collections that are searched.
        words: what to search by word.
        where: the only assets to find.
        spans: a passage stands for itself, not for its asset.
        depth: how many hits each list of words may have.
    """
    names, passages = _hits(catalog, words, {s.collection.modality for s in searched}, where, depth)
    placed = _Placed(ranked, spans)
    missing = [hit for hit in (*names, *passages) if placed.of(hit) is None]
    placed.add(_judged(vector, catalog, searched, missing, where))
    lists = {
        "vectors": [Hit(entry.row.segment_id, entry.rank_score) for entry in ranked],
        "names": placed.ids(names),
        "passages": placed.ids(passages),
    }
    fused = reciprocal_rank_fusion(lists)
    return [
        replace(
            placed.by_segment[hit.id],
            rank_score=hit.score,
            ranks=dict(hit.ranks),
            found_by=tuple(
                how
                for how, names_of in (("vectors", {"vectors"}), ("words", {"names", "passages"}))
                if names_of & hit.ranks.keys()
            ),
        )
        for hit in fused
    ]


def _hits(
    catalog: Catalog, words: WordSearch, modalities: set[Modality], where: Filter | None, depth: int
) -> tuple[list[WordHit], list[WordHit]]:
    """By name, and by passage; a passage also stands for the files that it lies beside."""
    condition = true() if where is None else where.sql()
    with catalog.read() as connection:
        names = find_names(connection, words.text, modalities, where=condition, k=depth)
        passages = (
            find_passages(connection, words.text, words.space_id, where=condition, k=depth)
            if Modality.TEXT in modalities
            else []
        )
        texts = find_passages(connection, words.text, words.space_id, where=true(), k=depth)
        beside = beside_texts(connection, texts, modalities, where=condition)
    return names, sorted([*passages, *beside], key=lambda hit: -hit.score)


class _Placed:
    """Which candidate stands for a hit: the asset's best one, or the passage itself."""

    def __init__(self, ranked: Iterable[Candidate], spans: bool) -> None:
        self._spans = spans
        self.by_segment: dict[int, Candidate] = {}
        self._by_asset: dict[int, Candidate] = {}
        self.add(ranked)

    def add(self, candidates: Iterable[Candidate]) -> None:
        for entry in candidates:
            self.by_segment.setdefault(entry.row.segment_id, entry)
            self._by_asset.setdefault(entry.row.asset_id, entry)

    def of(self, hit: WordHit) -> Candidate | None:
        if self._spans and hit.segment_id in self.by_segment:
            return self.by_segment[hit.segment_id]
        return self._by_asset.get(hit.asset_id)

    def ids(self, hits: Iterable[WordHit]) -> list[Hit]:
        found: dict[int, float] = {}
        for hit in hits:
            if (entry := self.of(hit)) is not None:
                found.setdefault(entry.row.segment_id, hit.score)
        return [Hit(segment_id, score) for segment_id, score in found.items()]


def _judged(
    vector: FloatArray,
    catalog: Catalog,
    searched: Sequence[Searchable],
    hits: Sequence[WordHit],
    where: Filter | None,
) -> list[Candidate]:
    """What only words found: a passage that holds the words, else the asset's nearest segment."""
    if not hits:
        return []
    passages = {hit.segment_id for hit in hits if hit.segment_id is not None}
    others = {hit.asset_id for hit in hits if hit.segment_id is None}
    condition = or_(Segment.id.in_(passages), Asset.id.in_(others))
    found = [
        entry
        for searchable in searched
        for entry in candidates_among(vector, catalog, searchable, condition, where)
    ]
    return sorted(found, key=lambda entry: -entry.score)

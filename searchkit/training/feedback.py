"""Pairs from what people told their library: the likes and unlikes of its saved queries."""

from __future__ import annotations

from pathlib import Path

from searchkit.catalog import segments
from searchkit.errors import SearchkitError
from searchkit.library import Library
from searchkit.modality import Modality
from searchkit.query import Query, Segment, Text
from searchkit.query.algebra import Term
from searchkit.training.pairs import Pair, PairSet, Side, Skipped

__all__ = ["feedback_pairs"]


def feedback_pairs(library: Library) -> PairSet:
    """What saved queries say belongs together.

    Every term of a saved query that is no segment matches the segments that were liked (their weights are
    positive) and does not match those that were unliked. Without such a term, the liked ones match the first
    of them.

    Args:
        library: open, with the encoder whose segments were liked.
    """
    skipped = Skipped()
    pairs: dict[tuple[Side, Side], Pair] = {}
    for name, row in library.saved_queries().items():
        try:
            query = library.parse(row.source)
            found = _pairs(library, query)
        except SearchkitError as error:
            skipped.add(error.message.partition("\n")[0], f"@{name}")
            continue
        if not found:
            skipped.add("it has no like or unlike beside another term", f"@{name}")
        for pair in found:
            pairs.setdefault((pair.left, pair.right), pair)
    return PairSet(tuple(pairs.values()), skipped)


def _pairs(library: Library, query: Query) -> list[Pair]:
    marked = [term for term in query.terms if isinstance(term.operand, Segment) and term.weight]
    anchors = [side for term in query.terms if term.weight > 0 and (side := _anchor(term)) is not None]
    with library.catalog.read() as connection:
        ids = [term.operand.id for term in marked if isinstance(term.operand, Segment)]
        rows = segments.join(connection, ids)
    sides = {id: Side(rows[id].encoded_as, segment_id=id) for id in ids if id in rows}
    liked = [sides[id] for id, term in zip(ids, marked, strict=True) if id in sides and term.weight > 0]
    unliked = [sides[id] for id, term in zip(ids, marked, strict=True) if id in sides and term.weight < 0]
    if not anchors and len(liked) > 1:
        anchors, liked = liked[:1], liked[1:]
    pairs = [Pair(anchor, side) for anchor in anchors for side in liked]
    return pairs + [Pair(anchor, side, match=False) for anchor in anchors for side in unliked]


def _anchor(term: Term) -> Side | None:
    operand = term.operand
    if isinstance(operand, Text):
        return Side(Modality.TEXT, text=operand.text)
    if isinstance(operand, Segment):
        return None
    return Side(Modality(operand.kind), path=Path(operand.path))

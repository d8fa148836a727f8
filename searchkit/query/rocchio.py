"""Relevance feedback as algebra: "like these, unlike those" becomes a query that prints and can be saved."""

from __future__ import annotations

from collections.abc import Iterable

from searchkit.errors import QueryError
from searchkit.query.algebra import Query, Segment, Term

__all__ = ["feedback"]


def feedback(
    query: Query | None = None,
    like: Iterable[int] = (),
    unlike: Iterable[int] = (),
    *,
    own: float = 1.0,
    towards: float = 0.75,
    away: float = 0.15,
) -> Query:
    """Move a query towards segments that were judged good and away from those judged bad.

    ``own * query + towards * mean(like) - away * mean(unlike)``, where the query's weights are scaled so
    that their absolute values sum to ``own``. Source: Rocchio, "Relevance feedback in information
    retrieval", 1971, with the weights of Manning, Raghavan and Schütze, "Introduction to information
    retrieval", 2008, chapter 9. Without a query and without anything liked, it searches away from the
    disliked segments.

    Args:
        query: what was asked; None starts from the judgements alone.
        like: ids of good segments; repeats count once.
        unlike: ids of bad segments.
        own: weight of the query.
        towards: weight of the good ones together.
        away: weight of the bad ones together.

    Raises:
        QueryError: there is neither a query nor a judgement, or an id is judged both ways.
    """
    good, bad = list(dict.fromkeys(like)), list(dict.fromkeys(unlike))
    if both := sorted(set(good) & set(bad)):
        raise QueryError(f"segment {both[0]} is judged both ways", hint="name it in --like or in --unlike")
    terms: list[Term] = []
    if query is not None:
        total = sum(abs(term.weight) for term in query.terms)
        terms += (query * (own / total) if total > 0 else query).terms
    terms += [Term(towards / len(good), Segment(id)) for id in good]
    terms += [Term(-away / len(bad), Segment(id)) for id in bad]
    if not terms:
        raise QueryError("there is nothing to learn from", hint="give a query, --like ID or --unlike ID")
    return Query(terms)

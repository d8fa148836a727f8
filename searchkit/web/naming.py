"""Which file a query's term means: one that came with the request, a kept upload, or a file of the library.

No other file of the machine can be named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from searchkit.catalog import details
from searchkit.catalog.details import AssetDetails
from searchkit.errors import QueryError
from searchkit.query import Query, Segment, Term, Text
from searchkit.query.algebra import Audio, Image, Operand, Reading, Video
from searchkit.web.files import readable_file
from searchkit.web.models import TermInfo
from searchkit.web.served import Served
from searchkit.web.uploads import PREFIX, Upload

__all__ = ["Files", "MAX_TERMS", "in_library", "resolve", "terms_of"]

Files = Mapping[str, Upload]
MAX_TERMS = 64


def resolve(served: Served, query: Query, files: Files) -> Query:
    """The query with the real paths of its files.

    Args:
        served: the library.
        query: as it was typed.
        files: uploads that came with the request, by name.

    Raises:
        QueryError: it has too many terms, or a term names no file that it may name.
        Unavailable: a file of the library is gone.
    """
    if len(query.terms) > MAX_TERMS:
        raise QueryError(f"a query may have {MAX_TERMS} terms, this one has {len(query.terms)}")
    return Query(Term(term.weight, _resolved(served, term.operand, files)) for term in query.terms)


def _resolved(served: Served, operand: Operand, files: Files) -> Operand:
    if isinstance(operand, Text | Segment):
        return operand
    name = operand.path
    if name in files:
        path = served.uploads.get(files[name].id)[1]
    elif name.startswith(PREFIX):
        upload, path = served.uploads.get(name)
        name = upload.name
    else:
        path = readable_file(_library_asset(served, operand)).path
    served.shown_path(path, name)
    return replace(operand, path=os.fspath(path))


def in_library(served: Served, query: Query) -> Query:
    """The query with whole paths of its files, all of which must be files of the library.

    Raises:
        QueryError: a term names an upload, which does not last, or no file of the library.
    """
    terms = []
    for term in query.terms:
        operand = term.operand
        if not isinstance(operand, Text | Segment):
            if operand.path.startswith(PREFIX):
                raise QueryError(
                    "an upload does not last, so a query with it cannot be saved",
                    hint="name a file of the library instead",
                )
            operand = replace(operand, path=_library_asset(served, operand).path)
        terms.append(Term(term.weight, operand))
    return Query(terms)


def _library_asset(served: Served, operand: Image | Audio | Video | Reading) -> AssetDetails:
    """The file of the library at exactly this path, or the only one whose path ends like this."""
    name = operand.path
    with served.library.catalog.read() as connection:
        ids = details.asset_ids_of(connection, [name])
        if not ids:
            matching = details.paths_ending(connection, name.removeprefix("./"))
            if len(matching) > 1:
                raise QueryError(
                    f"several files of the library end in {name}", hint=f"{operand.kind}:{matching[0]}"
                )
            ids = details.asset_ids_of(connection, matching)
        found = details.details(connection, ids)
    if not found:
        raise QueryError(
            f"no such file: {name}",
            hint="send it with the request, or name a file of the library; "
            f"to search for words, type text:{Path(name).name!r}",
        )
    return next(iter(found.values()))


def terms_of(query: Query) -> list[TermInfo]:
    """A query's terms, for people to look at and to change."""
    terms = []
    for term in query.terms:
        operand = term.operand
        start_s, end_s = None, None
        if isinstance(operand, Text):
            value = operand.text
        elif isinstance(operand, Segment):
            value = str(operand.id)
        else:
            value = operand.path
            if not isinstance(operand, Image) and not operand.is_whole:
                start_s, end_s = operand.start_s, operand.end_s
        terms.append(
            TermInfo(
                kind=operand.kind,
                weight=term.weight,
                value=value,
                start_s=start_s,
                end_s=end_s,
                source=str(operand),
            )
        )
    return terms

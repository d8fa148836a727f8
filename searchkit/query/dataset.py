"""Evaluation sets: a manifest of media, texts and composed queries, with what is relevant to each.

A manifest is a file of JSON lines. Each line has an ``id`` and one of

- ``path`` (from the manifest's folder) and ``modality``: a picture, sound, video or text file;
- ``text``, with ``modality`` "text" or none: words;
- ``query``: a composed query in the grammar, whose paths start from the manifest's folder; it is no target.

``relevant`` lists ids; a line with some is a query, every line but composed ones is a target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchkit.errors import QueryError, UsageError
from searchkit.query.algebra import Operand, Query, Segment, Term, Text, audio, image, reading, text, video
from searchkit.query.grammar import parse
from searchkit.types import Modality

__all__ = ["Entry", "read_manifest"]

_MAKERS = {"image": image, "audio": audio, "video": video}
_FIELDS = {"id", "path", "text", "query", "modality", "relevant"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a manifest.

    Attributes:
        id: its name in the set.
        query: what to embed for it; None for a text file, whose passages are.
        modality: what it is; None for a composed query, which is no target.
        relevant: ids of what it should find.
        path: its file, None for words and composed queries.
    """

    id: str
    query: Query | None
    modality: Modality | None
    relevant: frozenset[str]
    path: Path | None = None

    @property
    def kind(self) -> str:
        """The modality's name; of a composed query the kinds of its terms, such as "text+audio"."""
        if self.modality is not None:
            return self.modality.value
        return "+".join(self.query.kinds) if self.query is not None else ""


def read_manifest(path: Path) -> list[Entry]:
    """Read a manifest.

    Raises:
        UsageError: the file cannot be read, or a line is wrong; the message names line and reason.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{path}: {reason}", hint="give a file of JSON lines: docs/searching.md") from error
    entries: list[Entry] = []
    seen: set[str] = set()
    for number, source in enumerate(lines, start=1):
        if not source.strip():
            continue
        try:
            entry = _entry(json.loads(source), path.parent)
            if entry.id in seen:
                raise UsageError(f"the id {entry.id!r} comes twice")
        except (UsageError, QueryError, json.JSONDecodeError) as error:
            reason = error.message if isinstance(error, UsageError | QueryError) else f"no JSON: {error}"
            raise UsageError(
                f"{path}, line {number}: {reason}", hint="docs/searching.md has the form"
            ) from error
        seen.add(entry.id)
        entries.append(entry)
    _check_references(path, entries, seen)
    return entries


def _entry(line: Any, folder: Path) -> Entry:
    if not isinstance(line, Mapping):
        raise UsageError("a line must be a JSON object")
    if unknown := sorted(line.keys() - _FIELDS):
        raise UsageError(f"no field is called {unknown[0]!r}: {', '.join(sorted(_FIELDS))}")
    if not isinstance(line.get("id"), str | int) or line["id"] == "":
        raise UsageError("an id is missing")
    given = [name for name in ("path", "text", "query") if name in line]
    if len(given) != 1 or not isinstance(line[given[0]], str):
        raise UsageError("one of path, text and query is needed, as a string")
    relevant = line.get("relevant", [])
    if not isinstance(relevant, list) or not all(isinstance(other, str | int) for other in relevant):
        raise UsageError("relevant must be a list of ids")
    id, wanted = str(line["id"]), frozenset(map(str, relevant))
    if given == ["query"]:
        return Entry(id, _from(parse(line["query"]), folder), None, wanted)
    if given == ["text"]:
        if line.get("modality", "text") != "text":
            raise UsageError(f"words are of modality text, not {line['modality']!r}")
        return Entry(id, text(line["text"]), Modality.TEXT, wanted)
    try:
        modality = Modality(line.get("modality", ""))
    except ValueError:
        raise UsageError(f"a file needs a modality: {', '.join(Modality)}") from None
    file = folder / line["path"]
    if modality.is_plugged:
        return Entry(id, reading(modality, file), modality, wanted, file)
    value = None if modality is Modality.TEXT else _MAKERS[modality.value](file)
    return Entry(id, value, modality, wanted, file)


def _from(query: Query, folder: Path) -> Query:
    """The same query with paths that start from a folder."""
    return Query(Term(term.weight, _operand_from(term.operand, folder)) for term in query.terms)


def _operand_from(operand: Operand, folder: Path) -> Operand:
    if isinstance(operand, Segment):
        raise UsageError("a set knows no segments of a library: id: cannot be used")
    return operand if isinstance(operand, Text) else replace(operand, path=str(folder / operand.path))


def _check_references(path: Path, entries: list[Entry], known: set[str]) -> None:
    for entry in entries:
        if missing := sorted(entry.relevant - known):
            raise UsageError(
                f"{path}: {entry.id!r} names {missing[0]!r} as relevant, which no line has as its id"
            )
    if not any(entry.relevant for entry in entries):
        raise UsageError(
            f"{path}: no line says what is relevant", hint='add "relevant": [ids] to the lines that search'
        )

"""Queries as immutable values: weighted sums of terms; knows no file, no encoder and no library."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from searchkit.errors import QueryError
from searchkit.modality import Modality

__all__ = [
    "KINDS",
    "Audio",
    "Image",
    "Operand",
    "Query",
    "Reading",
    "Segment",
    "Term",
    "Text",
    "Video",
    "absolute",
    "audio",
    "image",
    "known_kinds",
    "reading",
    "segment",
    "text",
    "video",
]

PathLike: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

_BARE_PATH = re.compile(r"[\w./~%,=-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class Text:
    """Words to embed."""

    kind: ClassVar[str] = "text"
    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"a text term needs a str, got {type(self.text).__name__}")
        if not self.text.strip():
            raise QueryError("a text term has no words in it", hint='type some words: text:"dog in snow"')

    def __str__(self) -> str:
        return f"text:{_quote(self.text)}"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture file to embed; the path stays as it was typed."""

    kind: ClassVar[str] = "image"
    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", _check_path(self.path, self.kind))

    def __str__(self) -> str:
        return f"image:{_path_source(self.path)}"


@dataclass(frozen=True, slots=True)
class _Timed:
    """A file with time in it, whole or its part ``[start_s, end_s)``; ``end_s`` None means to its end."""

    kind: ClassVar[str] = ""
    path: str
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        _check_timed(self)

    @property
    def is_whole(self) -> bool:
        """Whether the whole file is meant."""
        return self.start_s == 0 and self.end_s is None

    def __str__(self) -> str:
        return _timed_source(self)


@dataclass(frozen=True, slots=True)
class Audio(_Timed):
    """A sound file to embed, or a span of it."""

    kind: ClassVar[str] = "audio"


@dataclass(frozen=True, slots=True)
class Video(_Timed):
    """A video file to embed (its frames and its sound), or a span of it."""

    kind: ClassVar[str] = "video"


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that the library already holds: "more like this"."""

    kind: ClassVar[str] = "id"
    id: int

    def __post_init__(self) -> None:
        if isinstance(self.id, bool) or not hasattr(self.id, "__index__"):
            raise TypeError(f"a segment id is an int, got {type(self.id).__name__}")
        object.__setattr__(self, "id", self.id.__index__())
        if not 0 <= self.id < 2**63:
            raise QueryError(f"no segment can have the id {self.id}", hint="ids are what `--json` shows")

    def __str__(self) -> str:
        return f"id:{self.id}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A file of a plugged-in modality to embed, such as a depth map, or its part ``[start_s, end_s)``."""

    modality: Modality
    path: str
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        found = Modality.named(self.modality)
        if found is None or not found.is_plugged:
            raise QueryError(f"no plug adds a modality called {str(self.modality)!r}")
        object.__setattr__(self, "modality", found)
        _check_timed(self)

    @property
    def kind(self) -> str:
        """The modality's name."""
        return self.modality.value

    @property
    def is_whole(self) -> bool:
        """Whether the whole file is meant."""
        return self.start_s == 0 and self.end_s is None

    def __str__(self) -> str:
        return _timed_source(self)


Operand: TypeAlias = Text | Image | Audio | Video | Reading | Segment
KINDS: tuple[str, ...] = ("text", "image", "audio", "video", "id")
"""The kinds of term that are always there; every plugged-in modality is one more (``known_kinds``)."""


def known_kinds() -> tuple[str, ...]:
    """All kinds of term that are known so far."""
    return (*KINDS, *(modality.value for modality in Modality if modality.is_plugged))


@dataclass(frozen=True, slots=True)
class Term:
    """An operand and its weight, a finite number that may be negative or zero."""

    weight: float
    operand: Operand

    def __post_init__(self) -> None:
        # Adding 0.0 turns -0.0 into 0.0, which nobody wants to read.
        object.__setattr__(self, "weight", _finite(self.weight, "a weight") + 0.0)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Query:
    """A weighted sum of terms, in the order in which they were written.

    Terms are never merged nor reordered: ``a + a`` holds two terms and ``a + b != b + a``, although they
    embed to one vector. ``str`` gives the query's own source text, and ``Query(str(q)) == q``.

    Raises:
        QueryError: no term, or a weight that is not finite.
        QuerySyntaxError: source text that does not parse.
    """

    terms: tuple[Term, ...]

    # Makes numpy scalars leave `number * query` to us.
    __array_ufunc__: ClassVar[None] = None

    def __init__(self, source: str | Iterable[Term]) -> None:
        if isinstance(source, str):
            from searchkit.query.grammar import parse

            terms = parse(source).terms
        else:
            terms = tuple(source)
        if not terms:
            raise QueryError(
                "the query has no term", hint='type words, or a sum like audio:bark.wav + "snow"'
            )
        object.__setattr__(self, "terms", terms)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of operand take part, without repeats, in the order of KINDS."""
        present = {term.operand.kind for term in self.terms}
        return tuple(kind for kind in known_kinds() if kind in present)

    def __add__(self, other: Query) -> Query:
        if not isinstance(other, Query):
            return NotImplemented
        return Query(self.terms + other.terms)

    def __radd__(self, other: object) -> Query:
        # sum(queries) starts from 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: Query) -> Query:
        if not isinstance(other, Query):
            return NotImplemented
        return self + -other

    def __neg__(self) -> Query:
        return self * -1.0

    def __mul__(self, factor: float) -> Query:
        if not hasattr(factor, "__float__"):
            return NotImplemented
        number = _finite(factor, "a weight")
        return Query(Term(term.weight * number, term.operand) for term in self.terms)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Query:
        if not hasattr(divisor, "__float__"):
            return NotImplemented
        number = _finite(divisor, "a divisor")
        if number == 0:
            raise QueryError("a query cannot be divided by zero")
        return Query(Term(term.weight / number, term.operand) for term in self.terms)

    def __str__(self) -> str:
        first, *rest = self.terms
        parts = [f"{'-' if first.weight < 0 else ''}{_unsigned(first)}"]
        parts += [f"{'-' if term.weight < 0 else '+'} {_unsigned(term)}" for term in rest]
        return " ".join(parts)

    def __repr__(self) -> str:
        return f"Query({str(self)!r})"


def text(words: str) -> Query:
    """A query for words.

    Raises:
        QueryError: there is nothing but white space.
    """
    return Query((Term(1.0, Text(words)),))


def image(path: PathLike) -> Query:
    """A query for a picture file; nothing is opened yet.

    Raises:
        QueryError: the path is empty.
    """
    return Query((Term(1.0, Image(_fspath(path))),))


def audio(path: PathLike, start_s: float | None = None, end_s: float | None = None) -> Query:
    """A query for a sound file or its span ``[start_s, end_s)``; nothing is opened yet.

    Raises:
        QueryError: the path is empty, or not 0 <= start_s < end_s.
    """
    return Query((Term(1.0, Audio(_fspath(path), start_s or 0.0, end_s)),))


def video(path: PathLike, start_s: float | None = None, end_s: float | None = None) -> Query:
    """A query for a video file or its span ``[start_s, end_s)``; nothing is opened yet.

    Raises:
        QueryError: the path is empty, or not 0 <= start_s < end_s.
    """
    return Query((Term(1.0, Video(_fspath(path), start_s or 0.0, end_s)),))


def reading(modality: str, path: PathLike, start_s: float | None = None, end_s: float | None = None) -> Query:
    """A query for a file of a plugged-in modality, such as a depth map; nothing is opened yet.

    Raises:
        QueryError: no plug adds that modality, the path is empty, or not 0 <= start_s < end_s.
    """
    found = Modality.named(modality)
    if found is None:
        raise QueryError(f"no plug adds a modality called {modality!r}")
    return Query((Term(1.0, Reading(found, _fspath(path), start_s or 0.0, end_s)),))


def segment(segment_id: int) -> Query:
    """A query for what resembles a segment of the library.

    Raises:
        QueryError: the id is negative.
    """
    return Query((Term(1.0, Segment(segment_id)),))


def absolute(query: Query) -> Query:
    """The same query with absolute paths, for another day and another folder."""
    return Query(Term(term.weight, _absolute(term.operand)) for term in query.terms)


def _absolute(operand: Operand) -> Operand:
    if isinstance(operand, Text | Segment):
        return operand
    return replace(operand, path=os.path.abspath(operand.path))  # noqa: PTH100


def _check_timed(operand: _Timed | Reading) -> None:
    object.__setattr__(operand, "path", _check_path(operand.path, operand.kind))
    start_s = _finite(operand.start_s, "a span's start") + 0.0
    end_s = None if operand.end_s is None else _finite(operand.end_s, "a span's end")
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise QueryError(
            f"a span needs 0 <= start < end, got {start_s} to {end_s} seconds of {operand.path}",
            hint=f"write it as {operand.kind}:{_path_source(operand.path)}@3.5-7",
        )
    object.__setattr__(operand, "start_s", start_s)
    object.__setattr__(operand, "end_s", end_s)


def _timed_source(operand: _Timed | Reading) -> str:
    end = "" if operand.end_s is None else _number_source(operand.end_s)
    span = "" if operand.is_whole else f"@{_number_source(operand.start_s)}-{end}"
    return f"{operand.kind}:{_path_source(operand.path)}{span}"


def _fspath(path: PathLike) -> str:
    return os.fsdecode(path)


def _check_path(path: str, kind: str) -> str:
    if not isinstance(path, str):
        raise TypeError(f"an {kind} term needs a path, got {type(path).__name__}")
    if not path or "\0" in path:
        what = "has no file name" if not path else "names a file with a NUL character"
        raise QueryError(f"{kind}: {what}", hint=f"type a path after it, such as {kind}:FILE")
    return path


def _finite(number: float, what: str) -> float:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise QueryError(f"{what} must be a finite number, got {value}")
    return value


def _unsigned(term: Term) -> str:
    weight = abs(term.weight)
    return str(term.operand) if weight == 1 else f"{_number_source(weight)}*{term.operand}"


def _number_source(number: float) -> str:
    return repr(number).removesuffix(".0")


def _path_source(path: str) -> str:
    return path if _BARE_PATH.fullmatch(path) else _quote(path)


def _quote(content: str) -> str:
    """In double quotes, in which whatever a terminal or UTF-8 cannot carry becomes an escape."""
    return f'"{"".join(_ESCAPES.get(char) or _printable(char) for char in content)}"'


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"

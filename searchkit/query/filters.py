r"""Filters as values: what assets may be found, read both as SQL and as Python; knows no vectors.

::

    filter     := all ("OR" all)*
    all        := part ("AND"? part)*
    part       := "NOT" part | "(" filter ")" | FIELD OP value ("," value)*
    OP         := ":" | "=" | "!=" | "<" | "<=" | ">" | ">="

``path:2019/** AND type:jpg,png AND date>=2020-01 AND duration_s<10 AND NOT tag:private``. ``:`` is ``=``;
several values mean any of them; ``!=`` is NOT ``=``. In globs ``*`` and ``?`` stay within a folder, ``**``
does not, a backslash takes their meaning away; case does not count. Values with blanks, commas or brackets
need double quotes, in which ``\"`` is a quote and ``\\`` a backslash. A fact that a file lacks passes no
comparison (and so passes its NOT); ``has:duration_s`` asks whether it is there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_

from searchkit.errors import InvalidFilter
from searchkit.query.filter_fields import FIELDS, field_named
from searchkit.query.filter_readings import Test

__all__ = ["AllOf", "AnyOf", "Comparison", "Filter", "Not", "parse_filter"]

_OPERATORS = (":", "=", "!=", "<", "<=", ">", ">=")
_MAX_DEPTH = 50


class Filter(ABC):
    """A condition on assets; ``str`` gives its source, ``parse_filter(str(f)) == f``."""

    __slots__ = ()

    @abstractmethod
    def sql(self) -> ColumnElement[bool]:
        """The condition over the catalog's ``assets``, for ``select(...).where(...)``; never NULL."""

    @abstractmethod
    def matches(self, asset: Any, tags: Collection[str] = ()) -> bool:
        """The same condition in Python.

        Args:
            asset: anything with the columns of ``assets`` as attributes.
            tags: the asset's tags.
        """


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """A field compared with one value or several (any of them).

    Raises:
        InvalidFilter: unknown field, a value that it cannot have, or an operator that it lacks.
    """

    name: str
    operator: str
    values: tuple[str, ...]
    tests: tuple[Test, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        known = field_named(self.name)
        operator = "=" if self.operator == ":" else self.operator
        if operator not in _OPERATORS:
            raise InvalidFilter(f"no comparison is written {self.operator!r}", hint=f"{known.name}:VALUE")
        if operator not in ("=", "!=") and not known.ordered:
            raise InvalidFilter(f"{known.name} has no order, so no {operator}", hint=f"{known.name}:VALUE")
        if not self.values or (operator not in ("=", "!=") and len(self.values) != 1):
            raise InvalidFilter(f"{known.name}{operator} needs one value", hint=known.about)
        object.__setattr__(self, "name", known.name)
        object.__setattr__(self, "operator", operator)
        relation = "=" if operator == "!=" else operator
        object.__setattr__(self, "tests", tuple(known.test(relation, value) for value in self.values))

    def sql(self) -> ColumnElement[bool]:
        """The condition over ``assets``."""
        found = or_(*(test.sql() for test in self.tests))
        return not_(found) if self.operator == "!=" else found

    def matches(self, asset: Any, tags: Collection[str] = ()) -> bool:
        """The same condition in Python."""
        return any(test.matches(asset, tags) for test in self.tests) != (self.operator == "!=")

    def __str__(self) -> str:
        sign = ":" if self.operator == "=" else self.operator
        return f"{self.name}{sign}{','.join(_value_source(value) for value in self.values)}"


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """What a filter leaves out."""

    part: Filter

    def sql(self) -> ColumnElement[bool]:
        """The condition over ``assets``."""
        return not_(self.part.sql())

    def matches(self, asset: Any, tags: Collection[str] = ()) -> bool:
        """The same condition in Python."""
        return not self.part.matches(asset, tags)

    def __str__(self) -> str:
        return f"NOT {_part_source(self.part)}"


@dataclass(frozen=True, slots=True)
class AllOf(Filter):
    """What passes two or more filters."""

    parts: tuple[Filter, ...]

    def sql(self) -> ColumnElement[bool]:
        """The condition over ``assets``."""
        return and_(*(part.sql() for part in self.parts))

    def matches(self, asset: Any, tags: Collection[str] = ()) -> bool:
        """The same condition in Python."""
        return all(part.matches(asset, tags) for part in self.parts)

    def __str__(self) -> str:
        return " AND ".join(_part_source(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf(Filter):
    """What passes at least one of two or more filters."""

    parts: tuple[Filter, ...]

    def sql(self) -> ColumnElement[bool]:
        """The condition over ``assets``."""
        return or_(*(part.sql() for part in self.parts))

    def matches(self, asset: Any, tags: Collection[str] = ()) -> bool:
        """The same condition in Python."""
        return any(part.matches(asset, tags) for part in self.parts)

    def __str__(self) -> str:
        return " OR ".join(_part_source(part) for part in self.parts)


def parse_filter(source: str) -> Filter:
    """Read a filter's source text.

    Raises:
        InvalidFilter: it does not parse (the column is in the message), or names an unknown field (the
            nearest one is suggested) or a value that the field cannot have.
    """
    return _Parser(source).parse()


_PLAIN_VALUE = re.compile(r"[^\s\"(),]+")


def _value_source(value: str) -> str:
    if _PLAIN_VALUE.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _part_source(part: Filter) -> str:
    return f"({part})" if isinstance(part, AllOf | AnyOf) else str(part)


class _Parser:
    """Recursive descent; ``at`` is the place of the next character to read."""

    _SPACE = re.compile(r"\s*")
    _WORD = re.compile(r"(AND|OR|NOT)(?=[\s(]|$)", re.IGNORECASE)
    _COMPARISON = re.compile(r"([A-Za-z_]+)\s*(!=|<=|>=|[:=<>])\s*")
    _QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
    _BARE = re.compile(r"[^\s\"(),]+")

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.depth = 0

    def parse(self) -> Filter:
        """The whole source."""
        found = self._joined("OR", AnyOf, lambda: self._joined("AND", AllOf, self._part))
        if self.at < len(self.source):
            raise self._error("a filter ends before this", hint="join comparisons with AND or OR")
        return found

    def _joined(
        self, word: str, join: Callable[[tuple[Filter, ...]], Filter], read: Callable[[], Filter]
    ) -> Filter:
        parts = [read()]
        while True:
            ahead = self._word()
            if ahead == word:
                self.at += len(word)
            elif word == "OR" or ahead == "OR" or self.at >= len(self.source) or self._next() == ")":
                return parts[0] if len(parts) == 1 else join(tuple(parts))
            parts.append(read())

    def _part(self) -> Filter:
        if self._word() == "NOT":
            self.at += len("NOT")
            return Not(self._nested(self._part))
        if self._next() == "(":
            opened = self.at
            self.at += 1
            found = self._nested(
                lambda: self._joined("OR", AnyOf, lambda: self._joined("AND", AllOf, self._part))
            )
            if self._next() != ")":
                raise self._error("this ( is never closed", at=opened, hint="add a )")
            self.at += 1
            self._skip_space()
            return found
        return self._comparison()

    def _comparison(self) -> Filter:
        start = self.at
        found = self._COMPARISON.match(self.source, self.at)
        if found is None:
            raise self._error(
                "a comparison is missing here",
                hint="such as type:jpg or date>=2020; fields: " + ", ".join(FIELDS),
            )
        self.at = found.end()
        values = [self._value(found[0].strip())]
        while self._next() == ",":
            self.at += 1
            self._skip_space()
            values.append(self._value(found[0].strip()))
        self._skip_space()
        try:
            return Comparison(found[1], found[2], tuple(values))
        except InvalidFilter as error:
            raise self._error(error.message, at=start, hint=error.hint) from None

    def _value(self, before: str) -> str:
        if quoted := self._QUOTED.match(self.source, self.at):
            self.at = quoted.end()
            return re.sub(r'\\(["\\])', r"\1", quoted[1])
        if self._next() == '"':
            raise self._error("this quote is never closed", hint='add a "')
        if bare := self._BARE.match(self.source, self.at):
            self.at = bare.end()
            return bare[0]
        raise self._error(
            f"a value is missing after {before}", hint='quote what has blanks: path:"My Photos/**"'
        )

    def _nested(self, read: Callable[[], Filter]) -> Filter:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._error(f"more than {_MAX_DEPTH} brackets inside one another")
        found = read()
        self.depth -= 1
        return found

    def _word(self) -> str:
        """AND, OR or NOT when it comes next, otherwise ""."""
        self._skip_space()
        found = self._WORD.match(self.source, self.at)
        return found[1].upper() if found else ""

    def _next(self) -> str:
        return self.source[self.at : self.at + 1]

    def _skip_space(self) -> None:
        found = self._SPACE.match(self.source, self.at)
        self.at = found.end() if found else self.at

    def _error(self, message: str, *, at: int | None = None, hint: str = "") -> InvalidFilter:
        column = (self.at if at is None else at) + 1
        return InvalidFilter(f"{message} (column {column} of the filter {self.source!r})", hint=hint)

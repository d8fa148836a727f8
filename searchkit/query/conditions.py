"""Filters in the words of stores that filter by themselves; what those cannot say stays with the catalog."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from searchkit.catalog.fields import FACTS, date_number
from searchkit.query import filter_readings as readings
from searchkit.query.filters import AllOf, AnyOf, Comparison, Filter, Not
from searchkit.stores import conditions

__all__ = ["to_condition"]

_FIELDS = {**{name: name for name in FACTS}, "date": "date", "added_at": "added"}
_WILDCARDS = frozenset("*?\\")


def to_condition(where: Filter) -> conditions.Condition | None:
    """The filter as a condition on fields; None where a part of it is a pattern that no field answers."""
    match where:
        case Not(part):
            inner = to_condition(part)
            return None if inner is None else conditions.Not(inner)
        case AllOf(parts):
            every = _all_of(map(to_condition, parts))
            return None if every is None else conditions.AllOf(every)
        case AnyOf(parts):
            some = _all_of(map(to_condition, parts))
            return None if some is None else conditions.AnyOf(some)
        case Comparison(name, sign, values):
            found = _all_of(map(_value, [name] * len(values), values, where.tests))
            if found is None:
                return None
            any_of = found[0] if len(found) == 1 else conditions.AnyOf(found)
            return conditions.Not(any_of) if sign == "!=" else any_of
    return None


def _all_of(found: Iterable[conditions.Condition | None]) -> tuple[conditions.Condition, ...] | None:
    whole = tuple(found)
    known = tuple(each for each in whole if each is not None)
    return known if len(known) == len(whole) else None


def _value(name: str, value: str, test: readings.Test) -> conditions.Condition | None:
    if name == "tag":
        return None if set(value) & _WILDCARDS else conditions.OneOf("tag", (value,))
    if name in ("folder", "path"):
        return _folder(value, whole=name == "path")
    return _test(test)


def _folder(value: str, *, whole: bool) -> conditions.Condition | None:
    """A folder's name, or an absolute folder, and all below it; other patterns have no field."""
    value = value.removeprefix("./")
    if whole and not value.endswith(("/", "/**")):
        return None
    folder = (value.removesuffix("**") if whole else value).rstrip("/")
    # what only Unicode's finer rules of case tell apart is left to the catalog
    if not folder.isascii() or set(folder) & _WILDCARDS or folder.startswith("~"):
        return None
    relative = "/" in folder and not folder.startswith("/")
    if not folder or relative or "//" in folder or folder in (".", ".."):
        return None
    return conditions.OneOf("folder", (folder.casefold(),))


def _test(test: readings.Test) -> conditions.Condition | None:
    match test:
        case readings.Either(first, second):
            both = _all_of((_test(first), _test(second)))
            return None if both is None else conditions.AnyOf(both)
        case readings.OneOf(column, values):
            return conditions.OneOf(_FIELDS[column], tuple(values))
        case readings.Known(column):
            return conditions.Known("tag" if column is None else _FIELDS[column])
        case readings.Compare(column, bounds):
            parts = tuple(_between(_FIELDS[column], relation, bound) for relation, bound in bounds)
            return parts[0] if len(parts) == 1 else conditions.AllOf(parts)
    return None


def _between(field: str, relation: Any, bound: Any) -> conditions.Between:
    number = _number(bound)
    if relation is operator.eq:
        return conditions.Between(field, number, number)
    strictly = relation in (operator.lt, operator.gt)
    if relation in (operator.lt, operator.le):
        return conditions.Between(field, most=number, strictly=strictly)
    return conditions.Between(field, least=number, strictly=strictly)


def _number(bound: Any) -> float:
    if isinstance(bound, datetime):
        return bound.timestamp()
    return date_number(bound) if isinstance(bound, str) else float(bound)

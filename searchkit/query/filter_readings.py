"""Questions about one asset; each has two readings, SQL and Python, that must agree.

A fact that an asset lacks passes no test, in both readings: logic is two-valued, SQL's NULL never shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Text, and_, or_, select, type_coerce

from searchkit.catalog.tables import Asset, AssetTag
from searchkit.catalog.types import encode_path

__all__ = ["Compare", "Either", "Known", "OneOf", "PathLike", "Tagged", "Test"]


class Test(Protocol):
    """One question about an asset."""

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """The answer for a row with the columns of ``assets`` as attributes, and its tags."""
        ...

    def sql(self) -> ColumnElement[bool]:
        """The same answer as an expression over ``assets``; never NULL."""
        ...


@dataclass(frozen=True, slots=True)
class Compare:
    """A known value that stands in all the given relations to its bounds."""

    column: str
    bounds: tuple[tuple[Callable[[Any, Any], Any], Any], ...]

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """Whether the asset's value keeps to the bounds."""
        value = getattr(asset, self.column)
        return value is not None and all(relation(value, bound) for relation, bound in self.bounds)

    def sql(self) -> ColumnElement[bool]:
        """The same in SQL."""
        column = getattr(Asset, self.column)
        return and_(column.is_not(None), *(relation(column, bound) for relation, bound in self.bounds))


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value among some."""

    column: str
    values: tuple[str, ...]

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """Whether the asset's value is one of them."""
        return getattr(asset, self.column) in self.values

    def sql(self) -> ColumnElement[bool]:
        """The same in SQL."""
        column = getattr(Asset, self.column)
        return and_(column.is_not(None), column.in_(self.values))


@dataclass(frozen=True, slots=True)
class Known:
    """A fact that the asset has; ``None`` for the column asks for any tag."""

    column: str | None

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """Whether it is known."""
        return bool(tags) if self.column is None else getattr(asset, self.column) is not None

    def sql(self) -> ColumnElement[bool]:
        """The same in SQL."""
        if self.column is None:
            return Asset.id.in_(select(AssetTag.asset_id))
        known: ColumnElement[bool] = getattr(Asset, self.column).is_not(None)
        return known


@dataclass(frozen=True, slots=True)
class PathLike:
    """A path that a regular expression finds, in the form in which the catalog stores paths."""

    regex: str

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """Whether the asset's path matches."""
        return re.search(self.regex, encode_path(asset.path)) is not None

    def sql(self) -> ColumnElement[bool]:
        """The same in SQL."""
        return type_coerce(Asset.path, Text).regexp_match(self.regex)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag that a regular expression finds."""

    regex: str

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """Whether one of the asset's tags matches."""
        return any(re.search(self.regex, tag) for tag in tags)

    def sql(self) -> ColumnElement[bool]:
        """The same in SQL."""
        return Asset.id.in_(select(AssetTag.asset_id).where(AssetTag.tag.regexp_match(self.regex)))


@dataclass(frozen=True, slots=True)
class Either:
    """One of two tests."""

    first: Test
    second: Test

    def matches(self, asset: Any, tags: Collection[str]) -> bool:
        """Whether one of them passes."""
        return self.first.matches(asset, tags) or self.second.matches(asset, tags)

    def sql(self) -> ColumnElement[bool]:
        """The same in SQL."""
        return or_(self.first.sql(), self.second.sql())

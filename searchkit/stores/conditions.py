"""Conditions on the fields of a vector's asset, in no store's own language, for stores that filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from searchkit.errors import InvalidFilter
from searchkit.types import FloatArray, Hit, IdArray, VectorStore

__all__ = [
    "FIELDS",
    "AllOf",
    "AnyOf",
    "Between",
    "Condition",
    "FieldStore",
    "FieldValue",
    "Known",
    "Not",
    "OneOf",
]

FieldValue: TypeAlias = str | int | float | Sequence[str]

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "asset": "integer",
        "modality": "keyword",
        "mime": "keyword",
        "folder": "keyword",
        "tag": "keyword",
        "date": "integer",
        "added": "float",
        "size_bytes": "integer",
        "width_px": "integer",
        "height_px": "integer",
        "duration_s": "float",
        "rate_hz": "integer",
        "channels": "integer",
        "latitude": "float",
        "longitude": "float",
    }
)
"""Fields that a vector may carry, with the index that is made for each.

Every vector whose fields are known carries ``asset``. ``date`` is written 20191231235959, ``added`` counts
seconds since 1970; ``folder`` has the folders above the file, each by its name and by its whole path,
case folded.
"""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field, or one of its values when it has several, is among the values."""

    field: str
    values: tuple[str | int, ...]

    def __post_init__(self) -> None:
        _check(self.field, ("keyword", "integer"))


@dataclass(frozen=True, slots=True)
class Between:
    """The field is present and within the bounds; ``strictly`` leaves the bounds themselves out."""

    field: str
    least: float | None = None
    most: float | None = None
    strictly: bool = False

    def __post_init__(self) -> None:
        _check(self.field, ("integer", "float"))


@dataclass(frozen=True, slots=True)
class Known:
    """The field is present."""

    field: str

    def __post_init__(self) -> None:
        _check(self.field, ("keyword", "integer", "float"))


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = OneOf | Between | Known | Not | AllOf | AnyOf


@runtime_checkable
class FieldStore(VectorStore, Protocol):
    """A store that keeps fields beside the vectors and filters by them itself."""

    def has_all_fields(self) -> bool:
        """Whether every row has its fields, so that none is missed when they are filtered by."""
        ...

    def fields(self, ids: Sequence[int] | IdArray) -> dict[int, dict[str, Any]]:
        """The fields of rows, by id; ids that are not stored are left out."""
        ...

    def set_fields(self, ids: Sequence[int] | IdArray, fields: Sequence[Mapping[str, FieldValue]]) -> None:
        """Replace the fields of rows; ids that are not stored are left out.

        Raises:
            InvalidFilter: a field is not in FIELDS.
        """
        ...

    def search_where(self, queries: FloatArray, k: int, condition: Condition) -> list[list[Hit]]:
        """The k best of the rows for which the condition holds, for each query; see VectorStore.search."""
        ...


def _check(field: str, kinds: tuple[str, ...]) -> None:
    if FIELDS.get(field) not in kinds:
        fitting = ", ".join(name for name, kind in FIELDS.items() if kind in kinds)
        raise InvalidFilter(f"no such comparison on {field!r}", hint=f"fields for it: {fitting}")

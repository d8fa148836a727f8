"""Conditions in Qdrant's own words, and the payload indexes that make them fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client import models

from searchkit.errors import InvalidFilter
from searchkit.stores.conditions import (
    FIELDS,
    AllOf,
    AnyOf,
    Between,
    Condition,
    FieldValue,
    Known,
    Not,
    OneOf,
)
from searchkit.types import IdArray

__all__ = ["INDEXES", "among_filter", "checked_payload", "to_filter"]

INDEXES: Mapping[str, models.PayloadSchemaType] = {
    field: models.PayloadSchemaType(kind) for field, kind in FIELDS.items()
}


def among_filter(ids: IdArray) -> models.Filter:
    """Only those ids."""
    return models.Filter(must=[models.HasIdCondition(has_id=ids.tolist())])


def to_filter(condition: Condition) -> models.Filter:
    """A condition as a filter."""
    match condition:
        case Not(part):
            return models.Filter(must_not=[to_filter(part)])
        case AllOf(parts):
            return models.Filter(must=[to_filter(part) for part in parts])
        case AnyOf(parts):
            return models.Filter(should=[to_filter(part) for part in parts])
        case OneOf(field, values):
            found = models.MatchAny(any=list(values))  # type: ignore[arg-type]
            return models.Filter(must=[models.FieldCondition(key=field, match=found)])
        case Known(field):
            absent = models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
            return models.Filter(must_not=[absent])
        case Between(field, least, most, strictly):
            bounds = models.Range(gt=least, lt=most) if strictly else models.Range(gte=least, lte=most)
            return models.Filter(must=[models.FieldCondition(key=field, range=bounds)])


def checked_payload(fields: Sequence[Mapping[str, FieldValue]]) -> list[dict[str, FieldValue]]:
    """Fields as payload.

    Raises:
        InvalidFilter: a field is unknown.
    """
    unknown = {name for each in fields for name in each} - FIELDS.keys()
    if unknown:
        raise InvalidFilter(
            f"vectors carry no field {sorted(unknown)[0]!r}", hint=f"known: {', '.join(FIELDS)}"
        )
    return [dict(each) for each in fields]

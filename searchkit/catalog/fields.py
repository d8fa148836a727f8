"""Verbs that tell what stores which filter by themselves must know of each segment; see stores.conditions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, select

from searchkit.catalog.tables import Asset, Segment, SegmentState
from searchkit.catalog.tags import tags_of
from searchkit.catalog.types import encode_path

__all__ = ["FACTS", "date_number", "fields_of", "folders_of", "segments_of"]

CHUNK = 500

FACTS = (
    "modality",
    "mime",
    "size_bytes",
    "width_px",
    "height_px",
    "duration_s",
    "rate_hz",
    "channels",
    "latitude",
    "longitude",
)
"""Columns of ``assets`` that are fields by the same name."""


def segments_of(connection: Connection, asset_ids: Sequence[int]) -> dict[int, list[int]]:
    """The READY segments of some assets, by the key of their collection."""
    found: dict[int, list[int]] = {}
    for start in range(0, len(asset_ids), CHUNK):
        rows = connection.execute(
            select(Segment.collection_id, Segment.id)
            .where(
                Segment.asset_id.in_(asset_ids[start : start + CHUNK]),
                Segment.state == SegmentState.READY.value,
            )
            .order_by(Segment.id)
        )
        for collection_id, segment_id in rows:
            found.setdefault(collection_id, []).append(segment_id)
    return found


def fields_of(connection: Connection, segment_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The fields of segments, by id; facts that a file lacks are left out."""
    found = {}
    columns = [getattr(Asset, name) for name in FACTS]
    for start in range(0, len(segment_ids), CHUNK):
        part = list(segment_ids[start : start + CHUNK])
        rows = connection.execute(
            select(Segment.id, Asset.id.label("asset"), Asset.path, Asset.date, Asset.added_at, *columns)
            .join(Asset, Asset.id == Segment.asset_id)
            .where(Segment.id.in_(part))
        ).all()
        tags = tags_of(connection, sorted({row.asset for row in rows}))
        for row in rows:
            facts = {name: getattr(row, name) for name in FACTS}
            found[row.id] = {
                "asset": row.asset,
                "folder": folders_of(row.path),
                "tag": tags.get(row.asset, []),
                "date": date_number(row.date),
                "added": row.added_at.timestamp(),
                **{name: value for name, value in facts.items() if value is not None},
            }
    return found


def folders_of(path: str) -> list[str]:
    """The folders above a file, each by its name and by its whole path, case folded."""
    above = [place for place in PurePosixPath(encode_path(path)).parents if place.name]
    return [*dict.fromkeys(place.name.casefold() for place in above), *(str(p).casefold() for p in above)]


def date_number(date: str) -> int:
    """A date of the catalog's, ``2019-12-31T23:59:59``, as a number in the same order: 20191231235959."""
    return int("".join(char for char in date[:19] if char.isascii() and char.isdigit()) or 0)

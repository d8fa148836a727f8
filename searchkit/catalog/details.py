"""Verbs that only read: what is shown of assets and segments to people, and lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, type_coerce
from sqlalchemy import Text as SqlText

from searchkit.catalog.tables import Asset, Collection, Embedding, EmbeddingState, Root, Segment, SegmentState
from searchkit.catalog.tags import tags_of
from searchkit.catalog.types import encode_path
from searchkit.types import Modality

__all__ = [
    "AssetDetails",
    "FailureRow",
    "SpanRow",
    "asset_ids_of",
    "asset_of",
    "count_since",
    "details",
    "failures_after",
    "newest",
    "newest_segment",
    "paths_ending",
    "points",
    "segments_of",
]

CHUNK = 500


@dataclass(frozen=True, slots=True)
class AssetDetails:
    """An asset as it is shown; ``root`` is the indexed folder (or file) that it belongs to."""

    id: int
    root: str
    path: str
    modality: Modality | None
    mime: str | None
    size_bytes: int
    mtime_ns: int
    content_hash: str | None
    date: str
    added_at: datetime
    width_px: int | None
    height_px: int | None
    duration_s: float | None
    facts: dict[str, Any]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One READY segment of an asset."""

    segment_id: int
    encoded_as: Modality
    start_s: float | None
    end_s: float | None
    text: str | None


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A file whose last try failed."""

    asset_id: int
    path: str
    reason: str
    at: datetime


def details(connection: Connection, asset_ids: Sequence[int]) -> dict[int, AssetDetails]:
    """What is known of assets, by their keys; unknown keys are left out."""
    ids = list(asset_ids)
    tags = tags_of(connection, ids)
    found: dict[int, AssetDetails] = {}
    for start in range(0, len(ids), CHUNK):
        rows = connection.execute(
            select(
                Asset.id,
                Root.path.label("root"),
                Asset.path,
                Asset.modality,
                Asset.mime,
                Asset.size_bytes,
                Asset.mtime_ns,
                Asset.content_hash,
                Asset.date,
                Asset.added_at,
                Asset.width_px,
                Asset.height_px,
                Asset.duration_s,
                Asset.facts,
            )
            .join(Root, Root.id == Asset.root_id)
            .where(Asset.id.in_(ids[start : start + CHUNK]))
        )
        for row in rows:
            modality = None if row.modality is None else Modality.stored(row.modality)
            values = {**row._mapping, "modality": modality, "tags": tuple(tags.get(row.id, ()))}
            found[row.id] = AssetDetails(**values)
    return found


def asset_of(connection: Connection, segment_id: int) -> int | None:
    """The asset of a READY segment, None when there is no such segment."""
    return connection.scalar(
        select(Segment.asset_id).where(Segment.id == segment_id, Segment.state == SegmentState.READY.value)
    )


def segments_of(connection: Connection, asset_id: int, space_id: int) -> list[SpanRow]:
    """The READY segments of an asset in a space, in the order of the file."""
    rows = connection.execute(
        select(Segment.id, Collection.encoded_as, Segment.start_s, Segment.end_s, Segment.text)
        .join(Collection, Collection.id == Segment.collection_id)
        .where(
            Segment.asset_id == asset_id,
            Segment.state == SegmentState.READY.value,
            Collection.space_id == space_id,
        )
        .order_by(Segment.start_s, Segment.ordinal)
    )
    return [
        SpanRow(row.id, Modality.stored(row.encoded_as), row.start_s, row.end_s, row.text) for row in rows
    ]


def newest(
    connection: Connection,
    space_id: int,
    *,
    where: ColumnElement[bool] | None = None,
    before: tuple[str, int] | None = None,
    limit: int = 50,
) -> list[tuple[int, int, str, str | None]]:
    """Assets that a space has segments of, newest first.

    Args:
        connection: where to read.
        space_id: the space.
        where: a condition over ``assets``.
        before: date and key of the last asset of the page before.
        limit: how many at most.

    Returns:
        Asset key, the key of its first segment, its date, and the passage of that segment.
    """
    statement = (
        select(Asset.id, func.min(Segment.id), Asset.date)
        .join(Segment, Segment.asset_id == Asset.id)
        .join(Collection, Collection.id == Segment.collection_id)
        .where(Segment.state == SegmentState.READY.value, Collection.space_id == space_id)
        .group_by(Asset.id)
        .order_by(Asset.date.desc(), Asset.id.desc())
        .limit(limit)
    )
    if where is not None:
        statement = statement.where(where)
    if before is not None:
        date, asset_id = before
        statement = statement.where(or_(Asset.date < date, and_(Asset.date == date, Asset.id < asset_id)))
    rows = connection.execute(statement).all()
    firsts = [row[1] for row in rows]
    passages = select(Segment.id, Segment.text).where(Segment.id.in_(firsts), Segment.text.is_not(None))
    texts = {row.id: row.text for row in connection.execute(passages)}
    return [(row[0], row[1], row[2], texts.get(row[1])) for row in rows]


def asset_ids_of(connection: Connection, paths: Sequence[str]) -> list[int]:
    """Keys of the assets at exactly these paths, in their order; unknown paths are left out."""
    found: dict[str, int] = {}
    for start in range(0, len(paths), CHUNK):
        part = paths[start : start + CHUNK]
        rows = connection.execute(select(Asset.path, Asset.id).where(Asset.path.in_(part)))
        found.update((row.path, row.id) for row in rows)
    return [found[path] for path in paths if path in found]


def paths_ending(connection: Connection, ending: str, limit: int = 2) -> list[str]:
    """Paths of assets whose last names are ``ending``: ``dog.jpg`` or ``2019/dog.jpg``."""
    stored = encode_path("/" + ending.lstrip("/"))
    raw = type_coerce(Asset.path, SqlText)
    rows = connection.scalars(select(Asset.path).where(raw.endswith(stored, autoescape=True)).limit(limit))
    return list(rows)


def failures_after(
    connection: Connection, space_id: int, *, after: int = 0, limit: int = 50
) -> list[FailureRow]:
    """Files whose last try in a space failed, by the asset's key, beyond the key ``after``."""
    rows = connection.execute(
        select(Asset.id, Asset.path, Embedding.error, Embedding.updated_at)
        .join(Asset, Asset.id == Embedding.asset_id)
        .where(
            Embedding.state == EmbeddingState.FAILED.value,
            Embedding.space_id == space_id,
            Asset.id > after,
        )
        .order_by(Asset.id)
        .limit(limit)
    )
    return [FailureRow(row.id, row.path, row.error or "", row.updated_at) for row in rows]


def count_since(connection: Connection, space_id: int, moment: datetime) -> dict[str, int]:
    """How many files a space's runs have dealt with since a moment, by what became of them."""
    rows = connection.execute(
        select(Embedding.state, func.count())
        .where(Embedding.space_id == space_id, Embedding.updated_at >= moment)
        .group_by(Embedding.state)
    )
    return {row[0]: row[1] for row in rows}


def points(connection: Connection, collection_id: int) -> list[tuple[int, int]]:
    """(segment key, asset key) of a collection's READY segments, by the segment's key."""
    rows = connection.execute(
        select(Segment.id, Segment.asset_id)
        .where(Segment.collection_id == collection_id, Segment.state == SegmentState.READY.value)
        .order_by(Segment.id)
    )
    return [(row[0], row[1]) for row in rows]


def newest_segment(connection: Connection) -> int:
    """The highest key of a READY segment, 0 when there is none; it grows whenever something is embedded."""
    statement = select(func.max(Segment.id)).where(Segment.state == SegmentState.READY.value)
    return int(connection.scalar(statement) or 0)

"""Verbs on segments: the steps of the record walk, and the join of hits with what the catalog knows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, true, update

from searchkit.catalog.tables import Asset, Collection, Embedding, Segment, SegmentState
from searchkit.types import Modality

__all__ = [
    "NewSegment",
    "SegmentRow",
    "collection_of",
    "count_ready",
    "count_where",
    "delete_segments",
    "forget_embeddings_of",
    "ids_where",
    "insert_pending",
    "join",
    "mark_asset_deleting",
    "mark_assets_deleting",
    "mark_assets_ready",
    "mark_ready",
    "ready_ids",
    "some_ready_ids",
    "unsettled",
]

CHUNK = 500


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment about to be recorded; ``text`` is the passage of a text asset."""

    asset_id: int
    collection_id: int
    ordinal: int
    start_s: float | None
    end_s: float | None
    text: str | None


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment that searches find, joined with its asset."""

    segment_id: int
    asset_id: int
    path: str
    modality: Modality
    encoded_as: Modality
    ordinal: int
    start_s: float | None
    end_s: float | None
    text: str | None
    mime: str | None
    content_hash: str | None


def insert_pending(connection: Connection, segments: Sequence[NewSegment]) -> list[int]:
    """Add segments whose vectors are not stored yet; returns their ids in order."""
    if not segments:
        return []
    rows = [
        {
            "asset_id": segment.asset_id,
            "collection_id": segment.collection_id,
            "state": SegmentState.PENDING.value,
            "ordinal": segment.ordinal,
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "text": segment.text,
        }
        for segment in segments
    ]
    inserted = connection.execute(insert(Segment).returning(Segment.id, sort_by_parameter_order=True), rows)
    return list(inserted.scalars())


def mark_ready(connection: Connection, asset_id: int, space_id: int) -> None:
    """Let searches find an asset's PENDING segments in a space, and no longer the READY ones they replace."""
    mark_assets_ready(connection, [asset_id], space_id)


def mark_assets_ready(connection: Connection, asset_ids: Sequence[int], space_id: int) -> None:
    """As ``mark_ready``, for many assets at once."""
    for part in _chunks(list(asset_ids)):
        of_assets = Segment.asset_id.in_(part)
        _set_states(connection, of_assets, space_id, SegmentState.READY, SegmentState.DELETING)
        _set_states(connection, of_assets, space_id, SegmentState.PENDING, SegmentState.READY)


def mark_assets_deleting(
    connection: Connection,
    asset_ids: Sequence[int],
    space_id: int | None = None,
    *,
    only_pending: bool = False,
) -> None:
    """As ``mark_asset_deleting``, for many assets at once."""
    for part in _chunks(list(asset_ids)):
        of_assets = Segment.asset_id.in_(part)
        _set_states(connection, of_assets, space_id, SegmentState.PENDING, SegmentState.DELETING)
        if not only_pending:
            _set_states(connection, of_assets, space_id, SegmentState.READY, SegmentState.DELETING)


def mark_asset_deleting(
    connection: Connection, asset_id: int, space_id: int | None = None, *, only_pending: bool = False
) -> None:
    """Take an asset's segments out of all searches; their vectors are deleted later."""
    mark_assets_deleting(connection, [asset_id], space_id, only_pending=only_pending)


def _set_states(
    connection: Connection,
    of_assets: ColumnElement[bool],
    space_id: int | None,
    old: SegmentState,
    new: SegmentState,
) -> None:
    statement = update(Segment).where(of_assets, Segment.state == old.value)
    if space_id is not None:
        of_space = select(Collection.id).where(Collection.space_id == space_id)
        statement = statement.where(Segment.collection_id.in_(of_space))
    connection.execute(statement.values(state=new.value))


def unsettled(connection: Connection, state: SegmentState, limit: int = 10_000) -> list[tuple[int, int]]:
    """Up to ``limit`` (segment id, collection id) pairs in a state, by id."""
    rows = connection.execute(
        select(Segment.id, Segment.collection_id)
        .where(Segment.state == state.value)
        .order_by(Segment.id)
        .limit(limit)
    )
    return [(row.id, row.collection_id) for row in rows]


def delete_segments(connection: Connection, ids: Iterable[int]) -> None:
    """Forget segments whose vectors are gone."""
    for part in _chunks(list(ids)):
        connection.execute(delete(Segment).where(Segment.id.in_(part)))


def join(
    connection: Connection, ids: Sequence[int], *, where: ColumnElement[bool] | None = None
) -> dict[int, SegmentRow]:
    """The READY segments among the given ids, by id, with their assets, which must be as ``where`` says."""
    fitting = true() if where is None else where
    found: dict[int, SegmentRow] = {}
    for part in _chunks(list(ids)):
        rows = connection.execute(
            select(
                Segment.id,
                Segment.asset_id,
                Segment.ordinal,
                Segment.start_s,
                Segment.end_s,
                Segment.text,
                Asset.path,
                Asset.mime,
                Asset.content_hash,
                Collection.modality,
                Collection.encoded_as,
            )
            .join(Asset, Asset.id == Segment.asset_id)
            .join(Collection, Collection.id == Segment.collection_id)
            .where(Segment.id.in_(part), Segment.state == SegmentState.READY.value, fitting)
        )
        for row in rows:
            found[row.id] = SegmentRow(
                segment_id=row.id,
                asset_id=row.asset_id,
                path=row.path,
                modality=Modality.stored(row.modality),
                encoded_as=Modality.stored(row.encoded_as),
                ordinal=row.ordinal,
                start_s=row.start_s,
                end_s=row.end_s,
                text=row.text,
                mime=row.mime,
                content_hash=row.content_hash,
            )
    return found


def collection_of(connection: Connection, segment_id: int) -> int | None:
    """The collection of a READY segment, None when there is no such segment."""
    return connection.scalar(
        select(Segment.collection_id).where(
            Segment.id == segment_id, Segment.state == SegmentState.READY.value
        )
    )


def ready_ids(connection: Connection, collection_id: int) -> Iterator[int]:
    """Ids of the READY segments of a collection, ascending."""
    yield from connection.scalars(
        select(Segment.id)
        .where(Segment.collection_id == collection_id, Segment.state == SegmentState.READY.value)
        .order_by(Segment.id)
    )


def some_ready_ids(connection: Connection, collection_id: int, limit: int) -> list[int]:
    """Ids of up to ``limit`` READY segments of a collection, spread over it, ascending; always the same."""
    here = and_(Segment.collection_id == collection_id, Segment.state == SegmentState.READY.value)
    first = connection.scalar(select(func.min(Segment.id)).where(here))
    last = connection.scalar(select(func.max(Segment.id)).where(here))
    if first is None or last is None:
        return []
    if last - first < 4 * limit:
        found = list(connection.scalars(select(Segment.id).where(here).order_by(Segment.id)))
    else:
        drawn = random.Random(0).sample(range(first, last + 1), 4 * limit)
        found = []
        for part in _chunks(drawn):
            found.extend(connection.scalars(select(Segment.id).where(here, Segment.id.in_(part))))
    if len(found) > limit:
        found = random.Random(0).sample(found, limit)
    return sorted(found)


def ids_where(connection: Connection, collection_id: int, condition: ColumnElement[bool]) -> list[int]:
    """Ids of a collection's READY segments whose asset fulfils a condition over ``assets``, ascending."""
    return list(
        connection.scalars(
            select(Segment.id)
            .join(Asset, Asset.id == Segment.asset_id)
            .where(
                Segment.collection_id == collection_id,
                Segment.state == SegmentState.READY.value,
                condition,
            )
            .order_by(Segment.id)
        )
    )


def count_where(connection: Connection, collection_id: int, condition: ColumnElement[bool]) -> int:
    """How many READY segments of a collection have an asset that fulfils a condition over ``assets``."""
    counted = (
        select(func.count(Segment.id))
        .join(Asset, Asset.id == Segment.asset_id)
        .where(Segment.collection_id == collection_id, Segment.state == SegmentState.READY.value, condition)
    )
    return int(connection.scalar(counted) or 0)


def count_ready(connection: Connection) -> dict[int, int]:
    """How many READY segments each collection has, by the collection's key."""
    rows = connection.execute(
        select(Segment.collection_id, func.count())
        .where(Segment.state == SegmentState.READY.value)
        .group_by(Segment.collection_id)
    )
    return {row[0]: row[1] for row in rows}


def forget_embeddings_of(connection: Connection, segment_ids: Sequence[int]) -> list[int]:
    """Have the assets of some segments embedded again by the next run; returns the assets' keys."""
    assets: set[int] = set()
    for part in _chunks(list(segment_ids)):
        rows = connection.execute(
            select(Segment.asset_id, Collection.space_id)
            .join(Collection, Collection.id == Segment.collection_id)
            .where(Segment.id.in_(part))
            .distinct()
        )
        for asset_id, space_id in rows.all():
            assets.add(asset_id)
            connection.execute(
                delete(Embedding).where(and_(Embedding.asset_id == asset_id, Embedding.space_id == space_id))
            )
    return sorted(assets)


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]

"""Verbs that move rows of whole tables, ids included, into a catalog that is empty; they know no vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, insert, select

from searchkit.catalog.dialects import last_given_id, set_last_given_id
from searchkit.catalog.tables import (
    Asset,
    Base,
    Embedding,
    Job,
    Root,
    Segment,
    SegmentState,
    SharedSetting,
    SpaceRow,
)
from searchkit.catalog.tags import tags_of

__all__ = ["clear", "copy_rows", "full_assets", "insert_rows", "is_empty", "owner"]

CHUNK = 500

# Jobs are a run's own queue. What machines agree on is said anew where a catalog is shared.
_LEFT_OUT = (Job.__tablename__, SharedSetting.__tablename__)


def is_empty(connection: Connection) -> bool:
    """Whether nothing was ever recorded there."""
    return not any(connection.scalar(select(exists(select(table)))) for table in _tables())


def owner(connection: Connection) -> str | None:
    """The id of the library that a shared catalog belongs to, None when no machine has said it yet."""
    return connection.scalar(select(SharedSetting.value).where(SharedSetting.name == "library_id"))


def clear(connection: Connection) -> None:
    """Delete all rows of all tables."""
    for table in reversed(Base.metadata.sorted_tables):
        connection.execute(delete(table))


def copy_rows(source: Connection, target: Connection) -> dict[str, int]:
    """Copy all that a library knows, with its ids; what no search may find stays behind.

    Args:
        source: where from, one consistent state.
        target: an empty catalog, in a transaction that writes.

    Returns:
        How many rows each table got, by its name.
    """
    counts = {}
    for table in _tables():
        statement = select(table)
        if table.name == Segment.__tablename__:
            statement = statement.where(Segment.state == SegmentState.READY.value)
        rows = source.execute(statement, execution_options={"yield_per": CHUNK})
        counts[table.name] = 0
        for part in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in part])
            counts[table.name] += len(part)
        if "id" in table.c:
            set_last_given_id(target, table.name, last_given_id(source, table.name))
    return counts


def full_assets(connection: Connection, asset_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Assets by their keys, with ``root`` (a path), ``tags``, and ``embeddings``: what became of each.

    An embedding has ``space`` (a fingerprint), ``state``, ``content_hash``, ``recipe`` and ``error``.
    """
    for start in range(0, len(asset_ids), CHUNK):
        part = list(asset_ids[start : start + CHUNK])
        tags, embeddings = tags_of(connection, part), dict[int, list[dict[str, Any]]]()
        told = connection.execute(
            select(
                Embedding.asset_id,
                SpaceRow.fingerprint.label("space"),
                Embedding.state,
                Embedding.content_hash,
                Embedding.recipe,
                Embedding.error,
            )
            .join(SpaceRow, SpaceRow.id == Embedding.space_id)
            .where(Embedding.asset_id.in_(part))
            .order_by(Embedding.asset_id, SpaceRow.id)
        )
        for row in told.mappings():
            columns = dict(row)
            embeddings.setdefault(columns.pop("asset_id"), []).append(columns)
        found = connection.execute(
            select(*Asset.__table__.c, Root.path.label("root"))
            .join(Root, Root.id == Asset.root_id)
            .where(Asset.id.in_(part))
            .order_by(Asset.id)
        )
        for row in found.mappings():
            columns = {name: value for name, value in row.items() if name != "root_id"}
            key = columns["id"]
            yield {**columns, "tags": tags.get(key, []), "embeddings": embeddings.get(key, [])}


def insert_rows(connection: Connection, table: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows with their ids."""
    held = [dict(row) for row in rows]
    if held:
        connection.execute(insert(table), held)


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT]

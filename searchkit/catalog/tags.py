"""Verbs on tags: words that people put on assets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, select

from searchkit.catalog.dialects import insert_if_absent
from searchkit.catalog.tables import AssetTag

__all__ = ["add_tags", "remove_tags", "tag_counts", "tags_of"]

CHUNK = 500


def add_tags(connection: Connection, asset_ids: Sequence[int], tags: Iterable[str]) -> None:
    """Put tags on assets; those that are there already stay."""
    for tag in tags:
        for start in range(0, len(asset_ids), CHUNK):
            part = asset_ids[start : start + CHUNK]
            rows = [{"asset_id": asset_id, "tag": tag} for asset_id in part]
            if rows:
                connection.execute(insert_if_absent(connection, AssetTag), rows)


def remove_tags(connection: Connection, asset_ids: Sequence[int], tags: Sequence[str]) -> None:
    """Take tags off assets; absent ones are fine."""
    for start in range(0, len(asset_ids), CHUNK):
        part = asset_ids[start : start + CHUNK]
        connection.execute(delete(AssetTag).where(AssetTag.asset_id.in_(part), AssetTag.tag.in_(list(tags))))


def tags_of(connection: Connection, asset_ids: Sequence[int]) -> dict[int, list[str]]:
    """The tags of assets, sorted, by the assets' keys; assets without tags are left out."""
    found: dict[int, list[str]] = {}
    for start in range(0, len(asset_ids), CHUNK):
        part = asset_ids[start : start + CHUNK]
        rows = connection.execute(
            select(AssetTag.asset_id, AssetTag.tag)
            .where(AssetTag.asset_id.in_(part))
            .order_by(AssetTag.asset_id, AssetTag.tag)
        )
        for asset_id, tag in rows:
            found.setdefault(asset_id, []).append(tag)
    return found


def tag_counts(connection: Connection) -> dict[str, int]:
    """How many assets carry each tag."""
    rows = connection.execute(
        select(AssetTag.tag, func.count()).group_by(AssetTag.tag).order_by(AssetTag.tag)
    )
    return {row[0]: row[1] for row in rows}

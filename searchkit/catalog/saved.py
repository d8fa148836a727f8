"""Verbs on saved queries: their source text under a name, with how they were searched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from searchkit.catalog.dialects import insert_if_absent
from searchkit.catalog.tables import SavedQuery

__all__ = ["SavedRow", "delete_query", "save_query", "saved_queries"]


@dataclass(frozen=True, slots=True)
class SavedRow:
    """A saved query.

    Attributes:
        name: what it is called.
        source: its source text.
        to: the modalities that it finds, with commas; None for all.
        where: its filter's text, or None.
        prompts: its prompts; empty for none.
        saved_at: when it was saved.
    """

    name: str
    source: str
    to: str | None
    where: str | None
    prompts: tuple[str, ...]
    saved_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "query": self.source,
            "to": self.to,
            "where": self.where,
            "prompts": list(self.prompts),
            "saved_at": self.saved_at.isoformat(),
        }


def saved_queries(connection: Connection) -> dict[str, SavedRow]:
    """All saved queries by name, in the order of their names."""
    rows = connection.execute(select(SavedQuery.__table__)).all()
    return {
        row.name: SavedRow(row.name, row.source, row.modalities, row.filter, tuple(row.prompts), row.saved_at)
        for row in sorted(rows, key=lambda row: row.name)
    }


def save_query(
    connection: Connection,
    name: str,
    source: str,
    *,
    to: str | None = None,
    where: str | None = None,
    prompts: tuple[str, ...] = (),
) -> None:
    """Keep a query under a name; one of the same name is replaced."""
    delete_query(connection, name)
    connection.execute(
        insert_if_absent(connection, SavedQuery).values(
            name=name,
            source=source,
            modalities=to,
            filter=where,
            prompts=list(prompts),
            saved_at=datetime.now(UTC),
        )
    )


def delete_query(connection: Connection, name: str) -> bool:
    """Forget a saved query; False when there is none of that name."""
    return bool(connection.execute(delete(SavedQuery).where(SavedQuery.name == name)).rowcount)

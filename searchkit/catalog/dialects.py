"""The few statements that SQLite and PostgreSQL spell differently; it knows no table."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["clock_s", "insert_if_absent", "is_shared", "lock_until_commit"]


def is_shared(connection: Connection) -> bool:
    """Whether other machines may be writing to the same database."""
    return connection.dialect.name != "sqlite"


def insert_if_absent(connection: Connection, table: Any) -> Any:
    """An INSERT that leaves rows alone whose unique columns are there already."""
    dialect = postgresql if is_shared(connection) else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def clock_s(connection: Connection) -> float:
    """Seconds since 1970 by the clock that all users of the database share."""
    if not is_shared(connection):
        return time.time()
    return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)


def lock_until_commit(connection: Connection, number: int) -> None:
    """Wait for a lock and hold it to the transaction's end; SQLite has one writer anyway."""
    if is_shared(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

"""The few statements that SQLite and PostgreSQL spell differently; it knows no table."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

__all__ = [
    "clock_s",
    "freeze",
    "insert_if_absent",
    "is_shared",
    "last_given_id",
    "lock_until_commit",
    "set_last_given_id",
]


# PostgreSQL's serialization failure and deadlock.
_CONFLICTS = frozenset({"40001", "40P01"})


def is_shared(connection: Connection) -> bool:
    """Whether other machines may be writing to the same database."""
    return connection.dialect.name != "sqlite"


def insert_if_absent(connection: Connection, table: Any) -> Any:
    """An INSERT that leaves rows alone whose unique columns are there already."""
    dialect = postgresql if is_shared(connection) else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def is_conflict(error: BaseException) -> bool:
    """Whether a transaction failed only because another one was at the same rows at the same time."""
    if isinstance(error, IntegrityError):
        return True
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def clock_s(connection: Connection) -> float:
    """Seconds since 1970 by the clock that all users of the database share."""
    if not is_shared(connection):
        return time.time()
    return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)


def lock_until_commit(connection: Connection, number: int) -> None:
    """Wait for a lock and hold it to the transaction's end; SQLite has one writer anyway."""
    if is_shared(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def freeze(connection: Connection) -> None:
    """Have all reads of a transaction that has not begun to read see one state; SQLite's do anyway."""
    if is_shared(connection):
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def last_given_id(connection: Connection, table: str) -> int:
    """The highest id that the database has ever given to a row of a table; 0 before the first."""
    if not is_shared(connection):
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return int(connection.scalar(query, {"name": table}) or 0)
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table})
    row = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
    return int(row.last_value) if row.is_called else 0


def set_last_given_id(connection: Connection, table: str, number: int) -> None:
    """Have the database give only higher ids to new rows of a table."""
    if is_shared(connection):
        move = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :next, false)")
        connection.execute(move, {"name": table, "next": number + 1})
        return
    connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
    row = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)")
    connection.execute(row, {"name": table, "number": number})

"""Opens the catalog's database: connection settings, schema check, upgrade with a backup first.

It knows the schema's revision, but nothing of what is in the tables.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from searchkit.catalog.dialects import lock_until_commit
from searchkit.durable import disk_full_guard, fsync_folder
from searchkit.errors import CatalogCorrupt, DiskFull, LibraryError, LibraryLocked, LibraryTooNew
from searchkit.migrations import HEAD, REVISIONS

__all__ = ["begin_alone", "begin_read", "begin_write", "check_schema", "open_engine", "revision_of"]

_BUSY_TIMEOUT_S = 30
_SHARED_MEMORY_BYTES = 64 << 10
_UPGRADING = 0x5EA2C402


def open_engine(path: Path) -> Engine:
    """An engine on a SQLite catalog: write-ahead log, full sync, foreign keys, explicit transactions.

    Where nothing can be written (a read-only medium, a full disk) the file is read as it lies there.
    """
    frozen = _is_frozen(path)
    place = f"sqlite:///file:{quote(str(path))}?immutable=1&uri=true" if frozen else f"sqlite:///{path}"
    engine = create_engine(place, connect_args={"timeout": _BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN would leave DDL outside of transactions; ours does not.
        connection.isolation_level = None
        for pragma in () if frozen else ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("begin_mode", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _is_frozen(path: Path) -> bool:
    """Whether SQLite could not even make the files that it needs beside the database to read it."""
    wal = path.with_name(f"{path.name}-wal")
    if not path.exists() or (wal.exists() and wal.stat().st_size):
        return False
    return not os.access(path.parent, os.W_OK) or _free_bytes(path.parent) < _SHARED_MEMORY_BYTES


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@contextmanager
def begin_read(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one consistent state of the catalog.

    Raises:
        CatalogCorrupt: the file is damaged.
    """
    with _named_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def begin_write(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; it waits for another writer and commits when the block ends.

    Raises:
        CatalogCorrupt: the file is damaged.
        DiskFull: the device is full; nothing of the transaction stays.
        LibraryLocked: another process has been writing for too long.
    """
    with _named_errors(engine), engine.connect() as connection:
        connection = connection.execution_options(begin_mode="IMMEDIATE")
        with connection.begin():
            yield connection


@contextmanager
def begin_alone(engine: Engine, number: int) -> Iterator[bool]:
    """A lock that one user of a PostgreSQL database holds at a time; False when another holds it."""
    with _named_errors(engine), engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        mine = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:n)"), {"n": number}))
        try:
            yield mine
        finally:
            if mine:
                connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": number})


@contextmanager
def _named_errors(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "postgresql":
        from searchkit.catalog.postgres import named_errors

        with named_errors(engine):
            yield
        return
    path = _path_of(engine)
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        unwritten = "disk I/O" in reason or "readonly" in reason
        full = unwritten and path and _free_bytes(Path(path).parent) < _SHARED_MEMORY_BYTES
        if "full" in reason or full:
            raise DiskFull(
                f"no space left while writing {path}", hint="free some space and try again"
            ) from error
        if "locked" in reason:
            raise LibraryLocked(
                f"another process is writing to {path}", hint="wait until it has finished, then try again"
            ) from error
        if "readonly" in reason or "unable to open" in reason:
            raise LibraryError(
                f"{path}: {reason}",
                hint="check the permissions of the library's folder, and that its disk can be written",
            ) from error
        if "malformed" in reason or "disk I/O" in reason:
            raise _corrupt(path, reason) from error
        raise
    except DatabaseError as error:
        reason = str(error.orig)
        if "malformed" in reason or "not a database" in reason or "corrupt" in reason:
            raise _corrupt(path, reason) from error
        raise


def _path_of(engine: Engine) -> str | None:
    place = engine.url.database
    return unquote(place.removeprefix("file:")) if place and place.startswith("file:") else place


def _corrupt(path: str | None, reason: str) -> CatalogCorrupt:
    folder = Path(path or ".").parent
    backups = sorted((folder / "backups").glob("catalog-*.sqlite"))
    hint = (
        f"restore a backup: cp '{backups[-1]}' '{path}'"
        if backups
        else f"move '{folder}' away and index again; your media files are not touched"
    )
    return CatalogCorrupt(f"the catalog {path} is damaged: {reason}", hint=hint)


def revision_of(connection: Connection) -> str | None:
    """The schema revision that a database has; None for an empty one."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables & {"assets", "segments"} or (tables and connection.dialect.name == "sqlite"):
            raise _corrupt(_path_of(connection.engine), "it holds tables but no schema revision")
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def check_schema(engine: Engine, path: Path | None) -> Path | None:
    """Bring a database to the newest schema, after copying an older file to ``backups/``.

    Args:
        engine: the database.
        path: its file, None for one on a server, whose upgrade is one transaction like any other.

    Returns:
        The backup's path when a file was upgraded.

    Raises:
        LibraryTooNew: a later version of searchkit wrote it.
        CatalogCorrupt: the file is damaged.
    """
    with begin_read(engine) as connection:
        revision = revision_of(connection)
    if revision == HEAD:
        return None
    place = path or engine.url.render_as_string()
    if revision is not None and revision not in REVISIONS:
        raise LibraryTooNew(
            f"{place} was written by a later version of searchkit (schema {revision}, this one knows {HEAD})",
            hint="pip install --upgrade searchkit",
        )
    backup = None if revision is None or path is None else _back_up(path, revision)
    from searchkit.migrations import upgrade  # alembic takes half a second to import: only when it is needed

    with disk_full_guard(place), begin_write(engine) as connection:
        lock_until_commit(connection, _UPGRADING)
        if revision_of(connection) != HEAD:  # somebody else may have been quicker
            upgrade(connection)
    return backup


def _back_up(path: Path, revision: str) -> Path:
    folder = path.parent / "backups"
    folder.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    backup = folder / f"catalog-{revision}-{stamp}.sqlite"
    partial = backup.with_suffix(".tmp")
    with disk_full_guard(backup):
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        partial.replace(backup)
        fsync_folder(folder)
    return backup

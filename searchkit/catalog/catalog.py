"""A catalog as an object: a database with the newest schema, and its transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from searchkit.catalog.dialects import is_conflict
from searchkit.catalog.engine import begin_alone, begin_read, begin_write, check_schema, open_engine
from searchkit.catalog.words import catch_up
from searchkit.errors import CatalogCorrupt

__all__ = ["CATALOG_FILE", "Catalog"]

CATALOG_FILE = "catalog.sqlite"

_PLANNING = 0x5EA2C401
_TRIES = 6

_T = TypeVar("_T")


class Catalog:
    """An open catalog; safe to use from several threads."""

    def __init__(self, engine: Engine, *, backup: Path | None = None) -> None:
        self._engine = engine
        self.backup = backup

    @classmethod
    def open(cls, folder: Path, url: str = "") -> Catalog:
        """Open the catalog of a library's folder, made when it is new, upgraded when it is old.

        An older catalog is copied to ``backups/`` before it is changed (``backup`` holds the copy's path).

        Args:
            folder: the library's folder.
            url: ``postgresql://...`` for a catalog on a server; "" for a file in the folder.

        Raises:
            UsageError: the URL is none of PostgreSQL.
            DependencyMissing: the extra ``postgres`` is not installed.
            LibraryTooNew: a later version of searchkit wrote it.
            CatalogCorrupt: the file is damaged.
            DiskFull: the device is full.
        """
        path: Path | None = None
        if url:
            from searchkit.catalog import postgres

            engine = postgres.open_engine(url)
        else:
            path = folder / CATALOG_FILE
            engine = open_engine(path)
        try:
            catalog = cls(engine, backup=check_schema(engine, path))
            if catalog.backup is not None:
                with catalog.write() as connection:
                    catch_up(connection)
            return catalog
        except BaseException:
            engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one consistent state."""
        with begin_read(self._engine) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes, committed when the block ends.

        Raises:
            DiskFull: the device is full; nothing of the transaction stays.
            LibraryLocked: another process has been writing for too long.
        """
        with begin_write(self._engine) as connection:
            yield connection

    def write_again(self, work: Callable[[Connection], _T]) -> _T:
        """Do some work in a transaction that writes; once more when another one was at the same rows.

        Two machines may need a new row of the same name at the same moment; the slower of them finds it there
        when it looks again.

        Args:
            work: what to do; it keeps nothing from a call that fails.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                with self.write() as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == _TRIES or not (self.is_shared and is_conflict(error)):
                    raise
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise AssertionError

    @property
    def is_shared(self) -> bool:
        """Whether other machines may be writing to it."""
        return self._engine.dialect.name != "sqlite"

    @contextmanager
    def planning(self) -> Iterator[bool]:
        """The right to fill the queue of jobs, which one worker has at a time; False when another has it."""
        if not self.is_shared:
            yield True
            return
        with begin_alone(self._engine, _PLANNING) as mine:
            yield mine

    def check_integrity(self) -> None:
        """Have the database check its own file.

        Raises:
            CatalogCorrupt: the file is damaged.
        """
        if self.is_shared:
            return  # a server checks its pages as it reads them
        with self.read() as connection:
            rows = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        if rows != ["ok"]:
            raise CatalogCorrupt(
                f"the catalog is damaged: {rows[0]}",
                hint="restore the newest file of backups/",
            )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

"""The right to write to a library: its lock, and its collections open for writing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType

from sqlalchemy import Connection

from searchkit.errors import LibraryError
from searchkit.indexer.fields import write_fields
from searchkit.library import Library
from searchkit.lock import WriterLock
from searchkit.types import VectorStore

__all__ = ["LOCK_FILE", "Writer"]

LOCK_FILE = "writer.lock"


class Writer:
    """Holds a library's writer lock until it is closed, and opens collections when they are first written.

    A library that several machines share has no lock: its catalog and its store take any number of writers.

    Attributes:
        library: what is written to.
        touched: keys of the collections whose vectors changed.

    Raises:
        LibraryLocked: another process is writing to the library.
    """

    def __init__(self, library: Library) -> None:
        if library.read_only:
            raise LibraryError(
                f"{library.folder} was opened read-only", hint="open it without read_only to change it"
            )
        self.library = library
        self.touched: set[int] = set()
        self._lock = (
            None
            if library.is_shared
            else WriterLock(library.folder / LOCK_FILE, f"the library {library.folder}")
        )
        self._stores: dict[int, VectorStore] = {}

    @property
    def was_left(self) -> bool:
        """Whether a process was killed, or died, while it wrote, and nobody has seen to its jobs since."""
        return self._lock is not None and self._lock.was_left

    def see_to_jobs(self) -> None:
        """Note that the jobs of a process that died have been seen to."""
        if self._lock is not None:
            self._lock.was_left = False

    def store(self, collection_id: int) -> VectorStore:
        """A collection's store, open for writing."""
        if collection_id not in self._stores:
            collection, dim = self.library.collection(collection_id)
            self._stores[collection_id] = self.library.open_store(collection, dim, read_only=False)
        return self._stores[collection_id]

    def write_fields(self, connection: Connection, asset_ids: Sequence[int]) -> None:
        """Tell stores that filter by themselves what an open transaction makes of some assets."""
        write_fields(connection, self.library.settings.store, self.store, asset_ids)

    def close(self) -> None:
        """Flush and close what was opened, then free the lock."""
        with contextlib.ExitStack() as stack:
            if self._lock is not None:
                stack.callback(self._lock.release)
            for store in self._stores.values():
                stack.callback(store.close)
        self._stores.clear()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

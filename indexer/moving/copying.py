"""Copies a library to another folder, store or database, ids and all, without embedding anything again.

Vectors come first and the catalog last, in one transaction, in a hidden folder that takes its name at the
end: a kill leaves no half of a library. A segment's row never changes, so that a copy that is begun again
sends only what is not there yet.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from searchkit.catalog import Catalog, segments, shared, spaces, transfer
from searchkit.catalog.dialects import freeze
from searchkit.catalog.spaces import CollectionRef
from searchkit.config import Settings, own_settings, save_settings
from searchkit.errors import (
    DependencyMissing,
    LibraryError,
    LibraryLocked,
    StoreCorrupt,
    StoreError,
    UnknownId,
    UsageError,
)
from searchkit.indexer.fields import set_fields_of, stale_fields
from searchkit.indexer.moving.landing import Landing
from searchkit.indexer.writer import LOCK_FILE
from searchkit.library import Library
from searchkit.lock import WriterLock
from searchkit.stores import delete_collection, resolve_store
from searchkit.types import IdArray, VectorStore

__all__ = ["CopyReport", "Report", "copy_library", "settings_without_secrets"]

Report = Callable[[str, int, int], None]
"""Takes what is being moved, how much of it is done, and how much there is."""

_CHUNK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied.

    Attributes:
        library: where the copy is.
        store: where its vectors are.
        assets: how many files it knows.
        segments: how many vectors it has.
        sent: how many of them this call copied; the others had come before it was interrupted.
    """

    library: Path
    store: str
    assets: int
    segments: int
    sent: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "library": str(self.library),
            "store": self.store,
            "assets": self.assets,
            "segments": self.segments,
            "sent": self.sent,
        }


def copy_library(
    source: Library, target: Path, *, store: str = "faiss", catalog: str = "", report: Report | None = None
) -> CopyReport:
    """Copy a library; what a killed run has left behind in it stays behind.

    Args:
        source: what to copy; nobody writes to it meanwhile.
        target: the new library's folder, which must not exist, or be empty.
        store: where the copy keeps its vectors.
        catalog: where it keeps its catalog: "" for a file in its folder, or ``postgresql://...``, empty.
        report: told how far it is.

    Raises:
        UsageError: something is at the target, or the store keeps nothing.
        LibraryLocked: another process writes to the source, or makes the same copy.
        StoreCorrupt: the source lacks vectors.
        DiskFull: the device is full; begin again when there is space.
    """
    if not resolve_store(store).keeps:
        raise UsageError(f"the store {store!r} keeps nothing", hint="choose another --store")
    with (
        Landing(target, "a copy", hint="choose a folder that does not exist yet") as landing,
        _nobody_else_writes(source),
        source.catalog.read() as rows,
    ):
        freeze(rows)
        refs = [
            (ref, space.dim)
            for space_id, space in spaces.spaces(rows)
            for ref in spaces.collections_of(rows, space_id)
        ]
        settings = _begin(landing, source, [ref for ref, _ in refs], store, catalog)
        made = Library(
            landing.folder, settings, Catalog.open(landing.folder, settings.catalog), read_only=False
        )
        with made:
            with made.catalog.write() as connection:
                _make_empty(connection, settings)
            wanted = {ref.id: _ready(rows, ref) for ref, _ in refs}
            progress = _Counted(report or _silent, sum(map(len, wanted.values())))
            for ref, dim in refs:
                _copy_vectors(source, made, rows, ref, dim, wanted[ref.id], progress)
            with made.catalog.write() as connection:
                _make_empty(connection, settings)
                counts = transfer.copy_rows(rows, connection)
                if made.catalog.is_shared:
                    own = {
                        "library_id": settings.library_id,
                        "store": settings.store,
                        "model": settings.model,
                    }
                    shared.agree(connection, own)
        landing.land()
    return CopyReport(landing.place, store, counts["assets"], counts["segments"], progress.sent)


def settings_without_secrets(settings: Settings) -> Settings:
    """Settings as they may be written down."""
    if not settings.catalog:
        return settings
    from searchkit.catalog.postgres import without_password

    return replace(settings, catalog=without_password(settings.catalog))


def _begin(
    landing: Landing, source: Library, refs: list[CollectionRef], store: str, catalog: str
) -> Settings:
    """The copy's settings, of a copy that was begun before or of a new one."""
    settings = replace(own_settings(source.folder), store=store, catalog=catalog)
    order = {
        "copy of": [source.settings.library_id, str(source.folder)],
        "settings": repr(settings_without_secrets(settings)),
    }
    begun = landing.order
    if {key: begun.get(key) for key in order} == order:
        return replace(settings, library_id=str(begun["library_id"]))
    for name in begun.get("collections", ()):
        # a server that is gone keeps what was sent to it
        with contextlib.suppress(StoreError, DependencyMissing, UsageError):
            delete_collection(begun["store"], root=landing.folder / "vectors", name=name)
    settings = replace(settings, library_id=secrets.token_hex(4))
    on_server = not resolve_store(store).beside_catalog
    names = [f"{settings.library_id}.{ref.name}" for ref in refs] if on_server else []
    landing.begin({**order, "library_id": settings.library_id, "store": store, "collections": names})
    save_settings(landing.folder, settings_without_secrets(settings))
    return settings


def _make_empty(connection: Connection, settings: Settings) -> None:
    """Have nothing in the catalog, unless it is another library's."""
    if transfer.is_empty(connection):
        return
    if settings.catalog and transfer.owner(connection) != settings.library_id:
        raise UsageError(
            "the catalog of the copy is not empty", hint="choose an empty database for --catalog"
        )
    transfer.clear(connection)


def _ready(rows: Connection, ref: CollectionRef) -> IdArray:
    return np.fromiter(segments.ready_ids(rows, ref.id), dtype=np.int64)


def _copy_vectors(
    source: Library,
    made: Library,
    rows: Connection,
    ref: CollectionRef,
    dim: int,
    wanted: IdArray,
    progress: _Counted,
) -> None:
    with (
        contextlib.closing(source.open_store(ref, dim, read_only=True)) as old,
        contextlib.closing(made.open_store(ref, dim, read_only=False)) as new,
    ):
        there = new.ids()
        new.delete(np.setdiff1d(there, wanted))
        missing = np.setdiff1d(wanted, there)
        progress.skip(len(wanted) - len(missing))
        for start in range(0, len(missing), _CHUNK_ROWS):
            ids = missing[start : start + _CHUNK_ROWS]
            new.upsert(ids, _fetch(old, ids, source))
            progress.advance(ref.name, len(ids))
        set_fields_of(rows, new, stale_fields(rows, new, wanted))
        new.flush()
        if len(new) != len(wanted):
            raise StoreError(f"{ref.name}: {len(wanted)} vectors were sent, {len(new)} are there")


def _fetch(store: VectorStore, ids: IdArray, source: Library) -> Any:
    try:
        return store.fetch(ids)
    except UnknownId as error:
        raise StoreCorrupt(
            f"the library {source.folder} lacks vectors: {error}",
            hint=f"searchkit verify --repair --library '{source.folder}', then searchkit index",
        ) from error


@contextlib.contextmanager
def _nobody_else_writes(source: Library) -> Iterator[None]:
    if source.is_shared:
        yield
        return
    try:
        lock = WriterLock(source.folder / LOCK_FILE, f"the library {source.folder}")
    except LibraryLocked:
        raise
    except LibraryError:  # where no lock can be written, nobody writes
        yield
        return
    with lock:
        yield


class _Counted:
    """Counts what was sent, and says so."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done, self.sent = report, total, 0, 0

    def skip(self, count: int) -> None:
        """So many were there already."""
        self._done += count

    def advance(self, name: str, count: int) -> None:
        """So many more are there."""
        self._done += count
        self.sent += count
        self._report(f"copying {name}", self._done, self._total)


def _silent(name: str, done: int, total: int) -> None:
    del name, done, total

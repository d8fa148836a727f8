"""The default store: one collection in one folder, crash-safe, open to many readers and one writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from searchkit.errors import StoreError, UnknownId, UsageError
from searchkit.stores.base import as_among, as_ids, as_queries, as_rows
from searchkit.stores.faiss.reader import CollectionReader
from searchkit.stores.faiss.search import search_snapshot
from searchkit.stores.faiss.snapshot import Snapshot
from searchkit.stores.faiss.tuning import Tuning
from searchkit.stores.faiss.upkeep import Upkeep
from searchkit.stores.faiss.verify import damaged_derived, describe, verify_collection
from searchkit.stores.faiss.writer import CollectionWriter
from searchkit.stores.report import StoreReport
from searchkit.types import FloatArray, Hit, IdArray

__all__ = ["FaissStore"]

_CLOSING_S = 60.0


class FaissStore:
    """Rows as float16 in memory-mapped files, scored exactly; any number of threads may search it.

    A read-only store takes no lock, sees what the writing process has written so far (each search looks), and
    is empty while there is no collection yet.

    Args:
        folder: the collection's folder; made by the first writer.
        dim: length of a vector.
        read_only: refuse writes, and leave the writer's place to another process.
        tuning: when to seal, merge and derive; the default is what was measured to be best.

    Raises:
        StoreLocked: another process is writing to the folder, and ``read_only`` is not set.
        DimensionMismatch: the folder holds vectors of another length.
        StoreCorrupt: a file is damaged or missing.
    """

    def __init__(
        self, folder: Path, dim: int, *, read_only: bool = False, tuning: Tuning | None = None
    ) -> None:
        if dim < 1:
            raise UsageError(f"dim must be at least 1, got {dim}")
        self._folder = folder
        self._dim = dim
        self._tuning = tuning or Tuning()
        self._mutex = threading.RLock()
        self._closed = False
        self._reader: CollectionReader | None = None
        self._writer: CollectionWriter | None = None
        self._upkeep: Upkeep | None = None
        self._looked_at = 0
        self._opened_s = time.monotonic()
        if read_only:
            self._reader = CollectionReader(folder, dim)
            self._reader.load()
        else:
            self._writer = CollectionWriter(folder, dim, tuning=self._tuning)
            self._upkeep = Upkeep(self._writer, self._mutex, self._tuning)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def folder(self) -> Path:
        """Where the collection's files are."""
        return self._folder

    def __len__(self) -> int:
        return len(self._snapshot())

    def upsert(self, ids: Sequence[int] | IdArray, vectors: FloatArray) -> None:
        """Insert or replace rows; see VectorStore.

        Raises:
            DimensionMismatch: the vectors have another length.
            InvalidVector: a row is not finite or not of unit length; nothing is stored.
            DiskFull: the device is full; nothing of this call is stored.
        """
        checked = as_ids(ids)
        rows = as_rows(vectors, self._dim, len(checked)).astype(np.float16)
        with self._mutex:
            writer = self._writable()
            if len(checked):
                writer.upsert(checked, rows)
                self._look_after(writer)

    def delete(self, ids: Sequence[int] | IdArray) -> None:
        """Remove rows; unknown ids are fine."""
        checked = as_ids(ids)
        with self._mutex:
            writer = self._writable()
            writer.delete(checked)
            self._look_after(writer)

    def flush(self) -> None:
        """Return when all earlier writes would survive a power cut."""
        with self._mutex:
            self._writable().flush()

    def fetch(self, ids: Sequence[int] | IdArray) -> FloatArray:
        """Rows (N, dim) in the order asked.

        Raises:
            UnknownId: an id is not stored.
        """
        checked, snapshot = as_ids(ids), self._snapshot()
        rows = np.empty((len(checked), self._dim), dtype=np.float32)
        missing = np.ones(len(checked), dtype=np.bool_)
        for part in snapshot.parts:
            found = part.find(checked)
            here = found >= 0
            rows[here] = part.rows[found[here]]
            missing &= ~here
        if missing.any():
            raise UnknownId(f"no vector has the id {int(checked[missing][0])}")
        return rows

    def ids(self) -> IdArray:
        """All stored ids, ascending."""
        return self._snapshot().ids()

    def search(
        self, queries: FloatArray, k: int, *, among: Sequence[int] | IdArray | None = None
    ) -> list[list[Hit]]:
        """The k rows with the highest inner product for each query; see VectorStore.

        Raises:
            DimensionMismatch: the queries have another length.
            InvalidVector: a query is zero or not finite.
        """
        checked, allowed = as_queries(queries, self._dim, k), as_among(among)
        return search_snapshot(self._snapshot(), checked, k, allowed, self._tuning)

    def close(self) -> None:
        """Flush, finish upkeep, release files and the writer's place; harmless when done twice."""
        upkeep, self._upkeep = self._upkeep, None
        try:
            if upkeep is not None:
                with self._mutex:
                    self._writable().flush()
                    upkeep.start()
                # never longer than writing has taken: what is broken off is begun again by a later writer
                upkeep.wait(max(_CLOSING_S, time.monotonic() - self._opened_s))
        finally:
            if upkeep is not None:
                upkeep.stop()
            with self._mutex:
                self._closed = True
                for each in (self._reader, self._writer):
                    if each is not None:
                        each.close()

    def describe(self) -> StoreReport:
        """How large the collection is, and how it lies on disk; reads no rows."""
        with self._mutex:
            snapshot = self._snapshot()
            return describe(self._follower.manifest, snapshot)

    def verify(self, *, repair: bool = False) -> StoreReport:
        """Read every byte, compare it with its checksum, and look at every row.

        Args:
            repair: drop damaged files that are derived from the rows, so that they are made anew.

        Returns:
            What is wrong, before any repair.

        Raises:
            StoreCorrupt: so much is damaged that the collection cannot be read.
        """
        while True:
            with self._mutex:
                snapshot = self._snapshot()
                manifest = self._follower.manifest
            report = verify_collection(self._folder, manifest, snapshot)
            with self._mutex:
                self._snapshot()
                # files that a merge took away meanwhile are no damage
                if report.ok or manifest is self._follower.manifest:
                    break
        if repair and manifest is not None and not report.ok:
            damaged = damaged_derived(self._folder, manifest)
            with self._mutex:
                self._writable().drop_derived(damaged)
                if self._upkeep is not None:
                    self._upkeep.start()
        return report

    def compact(self) -> None:
        """Merge all rows into one segment and build what makes its scans fast; searches go on meanwhile.

        Never needed: upkeep in the background does as much as pays.

        Raises:
            DiskFull: the device is full; nothing has changed.
        """
        with self._mutex:
            self._writable().seal()
            upkeep = self._upkeep
        if upkeep is not None:
            upkeep.wait()
            upkeep.compact()

    def _look_after(self, writer: CollectionWriter) -> None:
        if self._upkeep is not None and writer.generation != self._looked_at:
            self._looked_at = writer.generation
            self._upkeep.start()

    def _snapshot(self) -> Snapshot:
        if self._writer is not None:
            # no lock: a search does not wait for a write, however long that takes to reach the disk
            self._check_open()
            return self._writer.snapshot
        with self._mutex:
            self._check_open()
            return self._follower.refresh()

    @property
    def _follower(self) -> CollectionReader:
        found = self._reader if self._writer is None else self._writer.reader
        assert found is not None
        return found

    def _writable(self) -> CollectionWriter:
        self._check_open()
        if self._writer is None:
            raise UsageError(f"{self._folder} was opened read-only")
        return self._writer

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._folder} was closed", hint="open the store again")

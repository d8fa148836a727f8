"""Writes a collection: appends to the log, seals the tail into segments, switches the manifest, sweeps.

Every step leaves the folder as either the old state or the new one; a kill between two of them leaves at most
files that no manifest names, and the next writer sweeps them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from searchkit.durable import write_bytes
from searchkit.errors import StoreLocked
from searchkit.lock import WriterLock
from searchkit.stores.faiss.log import LOG_HEADER, append_bytes, encode_record, sync
from searchkit.stores.faiss.manifest import MANIFEST_NAME, Manifest, SegmentEntry, write_manifest
from searchkit.stores.faiss.reader import CollectionReader
from searchkit.stores.faiss.segment import HalfArray, write_mask, write_segment
from searchkit.stores.faiss.snapshot import Part, Snapshot
from searchkit.types import IdArray

__all__ = ["LOCK_NAME", "SEAL_ROWS", "CollectionWriter"]

LOCK_NAME = "lock"

SEAL_ROWS = 4096
"""Rows that the log takes before they are sealed; bounds what opening has to read."""


class CollectionWriter:
    """The one writer of a folder; not safe for several threads at once: the store guards it.

    Raises:
        StoreLocked: there is another.
    """

    def __init__(self, folder: Path, dim: int, *, seal_rows: int = SEAL_ROWS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(folder / LOCK_NAME, f"the collection {folder}", error=StoreLocked)
        self._seal_rows = seal_rows
        self._reader = CollectionReader(folder, dim)
        self._durable_end = 0
        self._must_seal = False
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    @property
    def snapshot(self) -> Snapshot:
        """The collection as of the last write."""
        return self._reader.snapshot

    def upsert(self, ids: IdArray, rows: HalfArray) -> None:
        """Insert or replace rows; many at once are sealed straight away."""
        reader = self._reader
        bulk = len(ids) >= self._seal_rows
        if not bulk:
            self._append(ids, rows)
        before, tail = reader.snapshot, reader.tail
        reader.snapshot = before.with_rows(tail, ids, rows)
        if bulk:
            try:
                self.seal()
            except BaseException:
                reader.load(writable_log=True)
                raise
        elif len(reader.snapshot.tail.ids) >= self._seal_rows:
            self.seal()

    def delete(self, ids: IdArray) -> None:
        """Remove rows."""
        reader = self._reader
        known = reader.snapshot.known(np.unique(ids))
        if len(known):
            self._append(known, None)
            reader.snapshot = reader.snapshot.without(known)

    def flush(self) -> None:
        """Return when all earlier writes would survive a power cut."""
        if self._must_seal:
            self.seal()
        elif self._durable_end < self._reader.log_end:
            assert self._reader.log_fd is not None
            # after a failed sync the system may have dropped the pages: only writing them anew helps
            self._must_seal = True
            sync(self._reader.log_fd, self._reader.log_path)
            self._must_seal = False
            self._durable_end = self._reader.log_end

    def seal(self) -> None:
        """Move the tail into a segment of its own, and deletions into masks; the log begins anew."""
        reader = self._reader
        snapshot, old = reader.snapshot, reader.manifest
        assert old is not None
        generation = old.generation + 1
        entries = [self._masked(part, generation) for part in snapshot.segments if part.live_count]
        live = snapshot.tail.live_positions()
        if len(live):
            name = f"seg-{generation:08d}"
            tail = snapshot.tail
            entries.append(write_segment(reader.folder, name, reader.dim, tail.ids[live], tail.rows[live]))
        self._switch(replace(old, generation=generation, segments=tuple(entries)))

    def close(self) -> None:
        """Release the lock and the files; what was not flushed may be lost."""
        self._reader.close()
        self._lock.release()

    def _append(self, ids: IdArray, rows: HalfArray | None) -> None:
        reader = self._reader
        assert reader.log_fd is not None
        content = encode_record(ids, rows, self._durable_end)
        reader.log_end = append_bytes(reader.log_fd, reader.log_path, reader.log_end, content)

    def _masked(self, part: Part, generation: int) -> SegmentEntry:
        assert part.segment is not None
        entry = part.segment.entry
        dead_count = len(part.ids) - part.live_count
        if part.alive is None or dead_count == entry.dead_count:
            return entry
        dead = write_mask(self._reader.folder, f"{entry.name}.dead-{generation:08d}", ~part.alive)
        return replace(entry, dead=dead, dead_count=dead_count)

    def _switch(self, manifest: Manifest) -> None:
        folder = self._reader.folder
        manifest = replace(manifest, log=f"log-{manifest.generation:08d}")
        try:
            write_bytes(folder / manifest.log, LOG_HEADER)
            write_manifest(folder, manifest)
        finally:
            # also after a failure: what counts is the manifest that is there now
            self._reader.load(writable_log=True)
        self._durable_end = self._reader.log_end
        self._must_seal = False
        self._sweep()

    def _recover(self) -> None:
        reader = self._reader
        reader.load(writable_log=True)
        if reader.manifest is None:
            self._switch(Manifest(dim=reader.dim, generation=1, log=""))
            return
        assert reader.log_fd is not None
        # the end of a write that a crash tore; what stands before it is made durable before it counts as such
        os.ftruncate(reader.log_fd, reader.log_end)
        sync(reader.log_fd, reader.log_path)
        self._durable_end = reader.log_end
        self._sweep()

    def _sweep(self) -> None:
        assert self._reader.manifest is not None
        kept = self._reader.manifest.file_names() | {MANIFEST_NAME, LOCK_NAME}
        for path in self._reader.folder.iterdir():
            ours = path.name.startswith(("seg-", "log-", ".seg-", ".log-", f".{MANIFEST_NAME}."))
            if ours and path.name not in kept:
                path.unlink(missing_ok=True)

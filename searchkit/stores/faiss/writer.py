"""Writes a collection: appends to the log, seals the tail into segments, switches the manifest, sweeps.

Every step leaves the folder as either the old state or the new one; a kill between two of them leaves at most
files that no manifest names, and the next writer sweeps them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchkit.durable import fsync_folder, write_bytes
from searchkit.errors import StoreLocked
from searchkit.lock import WriterLock
from searchkit.stores.faiss.log import LOG_HEADER, append_bytes, encode_record, sync
from searchkit.stores.faiss.manifest import MANIFEST_NAME, Manifest, SegmentEntry, write_manifest
from searchkit.stores.faiss.reader import CollectionReader
from searchkit.stores.faiss.segment import HalfArray, write_mask, write_segment
from searchkit.stores.faiss.snapshot import Part, Snapshot
from searchkit.stores.faiss.tuning import Tuning
from searchkit.types import IdArray

__all__ = ["LOCK_NAME", "CollectionWriter"]

LOCK_NAME = "lock"


class CollectionWriter:
    """The one writer of a folder; not safe for several threads at once: the store guards it.

    Attributes:
        reader: the state that writes build on.

    Raises:
        StoreLocked: there is another.
    """

    def __init__(self, folder: Path, dim: int, *, tuning: Tuning) -> None:
        _make_folder(folder)
        self._lock = WriterLock(folder / LOCK_NAME, f"the collection {folder}", error=StoreLocked)
        self._seal_rows = tuning.seal
        self.reader = CollectionReader(folder, dim)
        self._durable_end = 0
        self._must_seal = False
        self._last_name = 0
        self._unlisted: set[str] = set()
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    @property
    def snapshot(self) -> Snapshot:
        """The collection as of the last write."""
        return self.reader.snapshot

    @property
    def generation(self) -> int:
        """Grows whenever segments change."""
        return self._manifest().generation

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.reader.folder

    def upsert(self, ids: IdArray, rows: HalfArray) -> None:
        """Insert or replace rows; many at once are sealed straight away."""
        reader = self.reader
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
        reader = self.reader
        known = reader.snapshot.known(np.unique(ids))
        if len(known):
            self._append(known, None)
            reader.snapshot = reader.snapshot.without(known)

    def flush(self) -> None:
        """Return when all earlier writes would survive a power cut."""
        if self._must_seal:
            self.seal()
        elif self._durable_end < self.reader.log_end:
            assert self.reader.log_fd is not None
            # after a failed sync the system may have dropped the pages: only writing them anew helps
            self._must_seal = True
            sync(self.reader.log_fd, self.reader.log_path)
            self._must_seal = False
            self._durable_end = self.reader.log_end

    def seal(self) -> None:
        """Move the tail into a segment of its own, and deletions into masks; the log begins anew."""
        reader = self.reader
        snapshot, old = reader.snapshot, self._manifest()
        generation = old.generation + 1
        entries = [self._entry(part) for part in snapshot.segments if part.live_count]
        live = snapshot.tail.live_positions()
        if len(live):
            tail, name = snapshot.tail, self.new_name()
            rows = [(tail.ids[live], tail.rows[live])]
            entries.append(write_segment(self.folder, name, reader.dim, len(live), rows))
        log = f"log-{generation:08d}"
        write_bytes(self.folder / log, LOG_HEADER)
        self._switch(replace(old, generation=generation, log=log, segments=tuple(entries)))

    def new_name(self) -> str:
        """A name for a segment that no file has."""
        self._last_name += 1
        return f"seg-{self._last_name:08d}"

    @contextmanager
    def keeping(self, name: str) -> Iterator[None]:
        """Keep files of a segment from being swept while they are written and no manifest names them yet."""
        self._unlisted.add(name)
        try:
            yield
        finally:
            self._unlisted.discard(name)

    def change(self, transform: Callable[[dict[str, SegmentEntry]], bool]) -> bool:
        """Switch to a manifest whose segments, by name, ``transform`` has changed; the log goes on.

        ``transform`` returns False when what it wants to change is no longer there; then nothing happens.
        """
        old = self._manifest()
        segments = {entry.name: entry for entry in old.segments}
        if not transform(segments):
            return False
        self._switch(replace(old, generation=old.generation + 1, segments=tuple(segments.values())))
        return True

    def drop_derived(self, names: Collection[str]) -> None:
        """Forget derived files; upkeep makes them anew."""

        def drop(segments: dict[str, SegmentEntry]) -> bool:
            before = dict(segments)
            for name, entry in before.items():
                kept = tuple(file for file in entry.derived if file.name not in names)
                segments[name] = replace(entry, derived=kept)
            return segments != before

        self.change(drop)

    def masked(self, entry: SegmentEntry, dead: npt.NDArray[np.bool_]) -> SegmentEntry:
        """The segment with those rows dead, the mask written durably."""
        generation = self._manifest().generation + 1
        mask = write_mask(self.folder, f"{entry.name}.dead-{generation:08d}", dead)
        return replace(entry, dead=mask, dead_count=int(np.count_nonzero(dead)))

    def close(self) -> None:
        """Release the lock and the files; what was not flushed may be lost."""
        self.reader.close()
        self._lock.release()

    def _manifest(self) -> Manifest:
        assert self.reader.manifest is not None
        return self.reader.manifest

    def _append(self, ids: IdArray, rows: HalfArray | None) -> None:
        reader = self.reader
        assert reader.log_fd is not None
        content = encode_record(ids, rows, self._durable_end)
        reader.log_end = append_bytes(reader.log_fd, reader.log_path, reader.log_end, content)

    def _entry(self, part: Part) -> SegmentEntry:
        assert part.segment is not None
        # the segment may have been opened before its present mask was written
        entry = next(each for each in self._manifest().segments if each.name == part.segment.entry.name)
        if part.alive is None or len(part.ids) - part.live_count == entry.dead_count:
            return entry
        return self.masked(entry, ~part.alive)

    def _switch(self, manifest: Manifest) -> None:
        same_log = self.reader.manifest is not None and self.reader.manifest.log == manifest.log
        durable_end = self._durable_end if same_log else 0
        try:
            write_manifest(self.folder, manifest)
        finally:
            # also after a failure: what counts is the manifest that is there now
            self.reader.load(writable_log=True)
        self._durable_end = durable_end or self.reader.log_end
        self._must_seal = self._must_seal and same_log
        self._sweep()

    def _recover(self) -> None:
        reader = self.reader
        reader.load(writable_log=True)
        if reader.manifest is None:
            log = "log-00000001"
            write_bytes(self.folder / log, LOG_HEADER)
            self._switch(Manifest(dim=reader.dim, generation=1, log=log))
            return
        assert reader.log_fd is not None
        # the end of a write that a crash tore; what stands before it is made durable before it counts as such
        os.ftruncate(reader.log_fd, reader.log_end)
        sync(reader.log_fd, reader.log_path)
        self._durable_end = reader.log_end
        self._last_name = max((int(entry.name[4:]) for entry in reader.manifest.segments), default=0)
        self._sweep()

    def _sweep(self) -> None:
        kept = self._manifest().file_names() | {MANIFEST_NAME, LOCK_NAME}
        for path in self.folder.iterdir():
            name = path.name.lstrip(".")
            ours = path.name.startswith(("seg-", "log-", ".seg-", ".log-", f".{MANIFEST_NAME}."))
            if ours and path.name not in kept and name.partition(".")[0] not in self._unlisted:
                path.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it so that they survive a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)

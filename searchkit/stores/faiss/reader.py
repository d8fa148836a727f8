"""Follows a collection's files: the manifest, its segments, the log's new records; it never changes one."""

from __future__ import annotations

import os
from pathlib import Path

from searchkit.errors import DimensionMismatch, StoreCorrupt
from searchkit.stores.faiss.log import LOG_HEADER, read_records
from searchkit.stores.faiss.manifest import DAMAGE_HINT, MANIFEST_NAME, Manifest, SegmentEntry, read_manifest
from searchkit.stores.faiss.segment import Segment, read_mask
from searchkit.stores.faiss.snapshot import Part, Snapshot, Tail

__all__ = ["CollectionReader"]

_TRIES = 50


class CollectionReader:
    """The newest consistent snapshot of a folder that another process may be writing.

    Not safe for several threads at once: the store guards it.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self.manifest: Manifest | None = None
        self.snapshot = Snapshot.empty(dim)
        self.tail = Tail(dim)
        self.log_end = 0
        self.log_fd: int | None = None
        # kept open so that its inode cannot be given to the next manifest
        self._manifest_fd: int | None = None

    @property
    def log_path(self) -> Path:
        """The log of the current manifest."""
        assert self.manifest is not None
        return self.folder / self.manifest.log

    def refresh(self) -> Snapshot:
        """The snapshot as of now: two stat calls when nothing has changed.

        Raises:
            DimensionMismatch: the collection holds vectors of another length.
            StoreCorrupt: a file is damaged or missing.
        """
        if not self._is_current():
            self.load()
        elif self.log_fd is not None and os.fstat(self.log_fd).st_size > self.log_end:
            self._follow_log(self.snapshot)
        return self.snapshot

    def load(self, *, writable_log: bool = False) -> None:
        """Read everything anew; segments that were open stay mapped."""
        for attempt in range(_TRIES):
            try:
                self._load(writable_log)
            except FileNotFoundError as error:
                # merged away between reading the manifest and opening the file: the next one knows better
                if attempt + 1 == _TRIES or self._is_current():
                    self.close()
                    raise StoreCorrupt(f"{error.filename} is missing", hint=DAMAGE_HINT) from error
            except BaseException:
                # so that the next refresh looks again instead of trusting half a state
                self.close()
                raise
            else:
                return

    def close(self) -> None:
        """Close files; mapped rows stay valid for searches that still use them."""
        for fd in (self.log_fd, self._manifest_fd):
            if fd is not None:
                os.close(fd)
        self.log_fd = self._manifest_fd = None

    def _is_current(self) -> bool:
        try:
            there = (self.folder / MANIFEST_NAME).stat()
        except FileNotFoundError:
            return self._manifest_fd is None and self.manifest is None
        return self._manifest_fd is not None and os.path.samestat(there, os.fstat(self._manifest_fd))

    def _load(self, writable_log: bool) -> None:
        self.close()
        path = self.folder / MANIFEST_NAME
        try:
            self._manifest_fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            if any(self.folder.glob("*.rows")):
                raise
            self.manifest, self.snapshot, self.tail = None, Snapshot.empty(self.dim), Tail(self.dim)
            return
        size = os.fstat(self._manifest_fd).st_size
        text = os.pread(self._manifest_fd, size, 0).decode("utf-8", "replace")
        manifest = read_manifest(path, text)
        if manifest.dim != self.dim:
            raise DimensionMismatch(
                f"{self.folder} holds vectors of length {manifest.dim}, not {self.dim}",
                hint="use another library for another model",
            )
        parts = tuple(self._part(entry) for entry in manifest.segments)
        flags = os.O_RDWR if writable_log else os.O_RDONLY
        self.log_fd = os.open(self.folder / manifest.log, flags)
        self.manifest = manifest
        self.tail = Tail(self.dim)
        self.log_end = len(LOG_HEADER)
        if os.pread(self.log_fd, len(LOG_HEADER), 0) != LOG_HEADER:
            raise StoreCorrupt(
                f"{self.log_path} is damaged: it does not begin as a log does",
                hint=DAMAGE_HINT,
            )
        self._follow_log(Snapshot(parts, Snapshot.empty(self.dim).tail))

    def _part(self, entry: SegmentEntry) -> Part:
        known = {part.segment.entry.name: part for part in self.snapshot.segments if part.segment}
        part = known.get(entry.name)
        segment = part.segment if part is not None else None
        if segment is None or segment.entry.derived != entry.derived:
            segment = Segment(self.folder, entry, self.dim)
        alive = None if entry.dead is None else ~read_mask(self.folder, entry.dead, entry.count)
        return Part(segment.ids, segment.rows, alive, segment)

    def _follow_log(self, snapshot: Snapshot) -> None:
        assert self.log_fd is not None
        end = self.log_end
        for record in read_records(self.log_fd, self.log_path, end, self.dim):
            if record.rows is None:
                snapshot = snapshot.without(record.ids)
            else:
                snapshot = snapshot.with_rows(self.tail, record.ids, record.rows)
            end = record.end
        # at once: searches of other threads take it without asking
        self.snapshot, self.log_end = snapshot, end

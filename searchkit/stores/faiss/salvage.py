"""Makes a damaged collection whole again from what is intact of it; it makes no vectors anew.

A segment whose rows, ids or mask are damaged goes as a whole: its checksum does not say which rows to trust.
Derived files go alone, and are made anew. Of a damaged log the records before the damage stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from searchkit.durable import write_bytes
from searchkit.errors import StoreCorrupt, StoreLocked
from searchkit.lock import WriterLock
from searchkit.stores.faiss.log import LOG_HEADER, read_records
from searchkit.stores.faiss.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    SegmentEntry,
    read_manifest,
    write_manifest,
)
from searchkit.stores.faiss.segment import Segment, read_mask
from searchkit.stores.faiss.snapshot import Part
from searchkit.stores.faiss.verify import check_file, check_part
from searchkit.stores.faiss.writer import LOCK_NAME

__all__ = ["salvage_collection"]


def salvage_collection(folder: Path, dim: int) -> list[str]:
    """Drop what is damaged of a collection, durably; what was dropped, one sentence each.

    Raises:
        StoreLocked: another process is writing to it.
        StoreError: a later version of searchkit wrote it.
        DiskFull: the device is full; nothing has changed.
    """
    if not folder.is_dir():
        return []
    lock = WriterLock(folder / LOCK_NAME, f"the collection {folder}", error=StoreLocked)
    try:
        return _salvage(folder, dim)
    finally:
        lock.release()


def _salvage(folder: Path, dim: int) -> list[str]:
    path = folder / MANIFEST_NAME
    try:
        old = read_manifest(path, path.read_text(encoding="utf-8", errors="replace"))
    except (StoreCorrupt, FileNotFoundError) as error:
        if not any(folder.glob("seg-*")) and not path.exists():
            return []
        reason = error.message if isinstance(error, StoreCorrupt) else f"{path} is missing"
        # without it nobody can tell which files count, nor which of their rows are deleted
        last = max((int(each.name[4:12]) for each in folder.glob("log-????????")), default=0)
        _switch(folder, Manifest(dim=dim, generation=last + 1, log=f"log-{last + 1:08d}"), LOG_HEADER)
        return [reason]
    if old.dim != dim:
        return []  # opening it says so
    problems: list[str] = []
    kept = tuple(kept for entry in old.segments if (kept := _kept(folder, entry, dim, problems)))
    log, said = _intact_log(folder / old.log, dim)
    if not problems and not said:
        return []
    generation = old.generation + 1
    name = f"log-{generation:08d}" if said else old.log
    _switch(folder, replace(old, generation=generation, log=name, segments=kept), log if said else None)
    return problems + said


def _switch(folder: Path, manifest: Manifest, log: bytes | None) -> None:
    if log is not None:
        write_bytes(folder / manifest.log, log)
    write_manifest(folder, manifest)


def _kept(folder: Path, entry: SegmentEntry, dim: int, problems: list[str]) -> SegmentEntry | None:
    """A segment with those of its derived files that are intact; None when its own files are not."""
    own = [entry.rows, entry.ids, *([entry.dead] if entry.dead else [])]
    said = [problem for file in own for problem in check_file(folder, file)]
    if not said:
        try:
            segment = Segment(folder, entry, dim)
            alive = None if entry.dead is None else ~read_mask(folder, entry.dead, entry.count)
            said = list(check_part(Part(segment.ids, segment.rows, alive, segment)))
        except (StoreCorrupt, OSError, IndexError) as error:
            said = [str(error)]
    problems += said
    if said:
        return None

    def intact(file: FileEntry) -> bool:
        found = list(check_file(folder, file))
        problems.extend(found)
        return not found

    return replace(entry, derived=tuple(file for file in entry.derived if intact(file)))


def _intact_log(path: Path, dim: int) -> tuple[bytes, list[str]]:
    """The part of a log before any damage, and what is wrong with it."""
    try:
        with _opened(path) as fd:
            if os.pread(fd, len(LOG_HEADER), 0) != LOG_HEADER:
                return LOG_HEADER, [f"{path} is damaged: it does not begin as a log does"]
            end = len(LOG_HEADER)
            try:
                for record in read_records(fd, path, end, dim):
                    end = record.end
            except StoreCorrupt as error:
                return os.pread(fd, end, 0), [error.message]
    except OSError as error:
        return LOG_HEADER, [f"{path}: cannot be read: {error.strerror}"]
    return b"", []


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)

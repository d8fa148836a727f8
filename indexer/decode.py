"""Decodes files in threads and hands their samples on through a bounded queue; it knows no catalog."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from searchkit import media
from searchkit.errors import DecodeError
from searchkit.indexer.hashing import content_hash
from searchkit.indexer.scan import Found
from searchkit.types import Sample

__all__ = ["Event", "Failed", "Finished", "Job", "Opened", "Piece", "Skipped", "Unchanged", "decode_files"]


@dataclass(frozen=True, slots=True)
class Job:
    """A file to decode.

    Attributes:
        found: the file as the scan saw it.
        asset_id: its key, None for a file that the catalog does not know.
        embedded_hash: content that is embedded already by the recipe in force; such content is not decoded.
        is_new: it was never embedded in this space.
    """

    found: Found
    asset_id: int | None = None
    embedded_hash: str | None = None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A job's file is media; pieces follow."""

    job: Job
    media_type: media.MediaType
    facts: media.Facts
    content_hash: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One sample of a job's file; ``ordinal`` counts from 0."""

    job: Job
    ordinal: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Finished:
    """All pieces of a job have been handed on."""

    job: Job


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file's content is the one that is embedded already."""

    job: Job


@dataclass(frozen=True, slots=True)
class Skipped:
    """The file is not media."""

    job: Job


@dataclass(frozen=True, slots=True)
class Failed:
    """The file cannot be read as media."""

    job: Job
    reason: str


Event: TypeAlias = Opened | Piece | Finished | Unchanged | Skipped | Failed


def decode_files(
    jobs: Sequence[Job], settings: media.DecodeSettings, *, threads: int, depth: int = 64
) -> Generator[Event]:
    """Decode files in parallel.

    Args:
        jobs: the files.
        settings: how to decode.
        threads: how many files are decoded at once; 0 for one per core.
        depth: how many events wait at most before the decoders do.

    Yields:
        For each job: Opened, its Pieces in order, Finished; or Unchanged, or Skipped; or Failed, also after
        some pieces. Events of several jobs interleave. Closing the iterator stops the decoders.
    """
    events: queue.Queue[Event | BaseException | None] = queue.Queue(maxsize=depth)
    waiting = iter(jobs)
    take = threading.Lock()
    stop = threading.Event()

    def put(event: Event | BaseException | None) -> None:
        while not stop.is_set():
            try:
                events.put(event, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            while not stop.is_set():
                with take:
                    job = next(waiting, None)
                if job is None:
                    break
                _decode(job, settings, put, stop)
        except BaseException as error:
            put(error)
        finally:
            put(None)

    count = min(threads or os.cpu_count() or 1, max(len(jobs), 1))
    workers = [threading.Thread(target=work, name=f"decode-{n}", daemon=True) for n in range(count)]
    for worker in workers:
        worker.start()
    try:
        running = count
        while running:
            event = events.get()
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                raise event
            else:
                yield event
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _decode(
    job: Job, settings: media.DecodeSettings, put: Callable[[Event], None], stop: threading.Event
) -> None:
    path = job.found.path
    try:
        if media.sniff(path) is None and not media.looks_like_media(path):
            put(Skipped(job))
            return
        digest = content_hash(path)
        if digest == job.embedded_hash:
            put(Unchanged(job))
            return
        decoded = media.open_media(path, settings)
        put(Opened(job, decoded.media_type, decoded.facts, digest))
        count = 0
        for sample in decoded.samples:
            if stop.is_set():
                return
            put(Piece(job, count, sample))
            count += 1
        if count == 0:
            raise DecodeError(path, "it holds nothing that can be embedded")
        if _stat(path) != (job.found.size_bytes, job.found.mtime_ns):
            raise DecodeError(path, "it changed while it was read; the next run tries again")
        put(Finished(job))
    except DecodeError as error:
        put(Failed(job, error.reason if not error.hint else f"{error.reason} ({error.hint})"))


def _stat(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - one path type, str, throughout the scan
    except OSError as error:
        raise DecodeError(path, (error.strerror or str(error)).lower()) from error
    return status.st_size, status.st_mtime_ns

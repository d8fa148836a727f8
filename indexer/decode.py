"""Decodes files in parallel and hands their samples on through a bounded queue; it asks no catalog."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

from searchkit import media
from searchkit.catalog.jobs import ClaimedJob
from searchkit.catalog.tables import EmbeddingState
from searchkit.errors import DecodeError
from searchkit.indexer.hashing import content_hash
from searchkit.indexer.scan import Found
from searchkit.indexer.source import local_file, stat_source
from searchkit.types import ArraySample, AudioSample, ImageSample, Sample

__all__ = [
    "Decoder",
    "Event",
    "Failed",
    "Finished",
    "Job",
    "Opened",
    "Piece",
    "Skipped",
    "Unchanged",
    "decode_files",
    "to_job",
]

_T = TypeVar("_T")


class Decoder(Protocol):
    """What turns files into samples: ``searchkit.media`` itself, or a pool of processes that run it."""

    def sniff(self, path: Path | str, *, plugs: Sequence[str] = ()) -> media.MediaType | None:
        """As ``searchkit.media.sniff``."""
        ...

    def open_media(
        self, path: Path | str, settings: media.DecodeSettings, *, media_type: media.MediaType | None = None
    ) -> media.Decoded:
        """As ``searchkit.media.open_media``."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A file to decode.

    Attributes:
        found: the file as the scan saw it.
        id: its key in the catalog's queue.
        asset_id: its asset's key, None for a file that the catalog does not know.
        embedded_hash: content that is embedded already by the recipe in force; such content is not decoded.
        is_new: it was never embedded in this space.
    """

    found: Found
    id: int = 0
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
    """All pieces of a job have been handed on; ``seconds`` is how long its decoder worked."""

    job: Job
    seconds: float = 0.0


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


def to_job(claimed: ClaimedJob, recipe: str) -> Job:
    """What to do about a file of the catalog's queue, by the recipe in force."""
    known = claimed.known
    found = Found(claimed.path, claimed.size_bytes, claimed.mtime_ns)
    if known is None:
        return Job(found, claimed.id, is_new=True)
    embedded = known.embedded_hash if known.recipe == recipe else None
    never = known.state in (None, EmbeddingState.FAILED) and embedded is None
    return Job(found, claimed.id, known.id, embedded, is_new=never)


Event: TypeAlias = Opened | Piece | Finished | Unchanged | Skipped | Failed


class _Bounded(Generic[_T]):
    """A queue that makes its writers wait while it holds too many entries or bytes."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._held: deque[tuple[_T, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, value: _T, size_bytes: int) -> bool:
        """Add a value; False when nobody will take it any more."""
        with self._changed:
            while not self._closed and (
                len(self._held) >= self._max_entries or (self._held and self._bytes > self._max_bytes)
            ):
                self._changed.wait()
            if self._closed:
                return False
            self._held.append((value, size_bytes))
            self._bytes += size_bytes
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> _T | None:
        """The oldest value, None when none came in time."""
        with self._changed:
            if not self._held:
                self._changed.wait(timeout_s)
            if not self._held:
                return None
            value, size_bytes = self._held.popleft()
            self._bytes -= size_bytes
            self._changed.notify_all()
            return value

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def decode_files(
    jobs: Iterator[Job],
    settings: media.DecodeSettings,
    decoder: Decoder,
    *,
    threads: int,
    depth: int = 256,
    depth_bytes: int = 128 << 20,
    tick_s: float = 0.5,
) -> Generator[Event | None]:
    """Decode files in parallel.

    Args:
        jobs: the files; asked for the next one by one thread at a time.
        settings: how to decode.
        decoder: what decodes; its methods are called from several threads.
        threads: how many files are decoded at once; 0 for one per core.
        depth: how many events wait at most before the decoders do ...
        depth_bytes: ... and how many bytes of samples.
        tick_s: how long to wait for an event before yielding None.

    Yields:
        For each job: Opened, its Pieces in order, Finished; or Unchanged, or Skipped; or Failed, also after
        some pieces. Events of several jobs interleave. Now and then None, so that the caller can see to
        other things. Closing the iterator stops the decoders.
    """
    events: _Bounded[Event | BaseException | None] = _Bounded(depth, depth_bytes)
    ended = object()
    take = threading.Lock()
    stop = threading.Event()
    count = threads or os.cpu_count() or 1
    running = [count]

    def put(event: Event) -> None:
        size_bytes = _size_bytes(event.sample) if isinstance(event, Piece) else 0
        if not events.put(event, size_bytes):
            stop.set()

    def work() -> None:
        try:
            while not stop.is_set():
                with take:
                    job = None if stop.is_set() else next(jobs, None)
                if job is None:
                    break
                _decode(job, settings, decoder, put, stop)
        except BaseException as error:
            events.put(error, 0)
        finally:
            with take:
                running[0] -= 1
                last = running[0] == 0
            if last:
                events.put(ended, 0)  # type: ignore[arg-type]

    workers = [threading.Thread(target=work, name=f"decode-{n}", daemon=True) for n in range(count)]
    for worker in workers:
        worker.start()
    try:
        while True:
            event = events.get(tick_s)
            if event is ended:
                return
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        stop.set()
        events.close()
        for worker in workers:
            worker.join()


def _decode(
    job: Job,
    settings: media.DecodeSettings,
    decoder: Decoder,
    put: Callable[[Event], None],
    stop: threading.Event,
) -> None:
    started_s = time.perf_counter()
    waited_s = 0.0
    try:
        with local_file(job.found.path) as path, contextlib.ExitStack() as stack:
            media_type = decoder.sniff(path, plugs=settings.plugs)
            if media_type is None and not media.looks_like_media(path, settings.plugs):
                put(Skipped(job))
                return
            digest = content_hash(str(path))
            if digest == job.embedded_hash:
                put(Unchanged(job))
                return
            decoded = decoder.open_media(path, settings, media_type=media_type)
            put(Opened(job, decoded.media_type, decoded.facts, digest))
            if isinstance(decoded.samples, Generator):
                stack.callback(decoded.samples.close)
            count = 0
            for sample in decoded.samples:
                if stop.is_set():
                    return
                handed_s = time.perf_counter()
                put(Piece(job, count, sample))
                waited_s += time.perf_counter() - handed_s
                count += 1
            if count == 0:
                raise DecodeError(path, "it holds nothing that can be embedded")
        if stat_source(job.found.path) not in (None, (job.found.size_bytes, job.found.mtime_ns)):
            raise DecodeError(job.found.path, "it changed while it was read; the next run tries again")
        put(Finished(job, time.perf_counter() - started_s - waited_s))
    except DecodeError as error:
        put(Failed(job, error.reason if not error.hint else f"{error.reason} ({error.hint})"))


def _size_bytes(sample: Sample) -> int:
    if isinstance(sample, ImageSample):
        return sample.pixels.nbytes
    if isinstance(sample, AudioSample):
        return sample.waveform.nbytes
    return sample.values.nbytes if isinstance(sample, ArraySample) else 0

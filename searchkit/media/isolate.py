"""Decodes in child processes, so that a decoder that crashes or hangs takes down a worker, never the run.

It is a drop-in for ``sniff`` and ``open_media``, and safe to call from several threads.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self, cast

import numpy as np
import numpy.typing as npt

from searchkit.errors import DecodeError, SearchkitError, UsageError
from searchkit.media.decoded import Decoded, Facts, MediaType
from searchkit.media.settings import DecodeSettings
from searchkit.media.sniff import sniff
from searchkit.media.wire import read_message, unpack_sample, write_message
from searchkit.types import Sample

__all__ = ["DecoderPool"]

# Not by multiprocessing, which runs the caller's main module again and needs it written for that.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from searchkit.media.worker import main
main()
"""
_DEFAULTS = DecodeSettings()
_WATCH_S = 0.2
_START_S = 60.0
_PATIENCE_S = 0.5
_PIPE_BYTES = 1 << 20


class _Worker:
    """One child process, used by one thread at a time; it starts when it is first asked."""

    def __init__(self, max_memory_bytes: int | None) -> None:
        self._max_memory_bytes = max_memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._deadline_s = math.inf
        self.timed_out = False

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request.

        Raises:
            SearchkitError: the process does not start.
        """
        self.timed_out = False
        if self._process is not None and self._process.poll() is None:
            write_message(_pipe(self._process.stdin), request)
            return
        self.stop()
        self._process = _start()
        try:
            write_message(_pipe(self._process.stdin), {"max_memory_bytes": self._max_memory_bytes})
            self.answer(_START_S)
        except (EOFError, OSError) as error:
            raise SearchkitError(
                f"the decoding process does not start (exit code {self.stop()})",
                hint=f"see what `{sys.executable} -m searchkit.media.worker` says",
            ) from error
        write_message(_pipe(self._process.stdin), request)

    def answer(self, timeout_s: float) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
        """The next message.

        Raises:
            EOFError: the process died, or was killed because it took too long.
        """
        process = self._process
        if process is None:
            raise EOFError
        with self._lock:
            self._deadline_s = time.monotonic() + timeout_s
        try:
            return read_message(_pipe(process.stdout))
        finally:
            with self._lock:
                self._deadline_s = math.inf

    def watch(self) -> None:
        """Kill the process when its answer is overdue."""
        with self._lock:
            if time.monotonic() > self._deadline_s and self._process is not None:
                self.timed_out = True
                self._process.kill()

    def stop(self) -> int | None:
        """End the process and return its exit code, negative for a signal; None when there is none."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()
        try:
            # One that died by itself has a code to tell; one that lives ends when its pipes close.
            return process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _pipe(stream: IO[bytes] | None) -> BinaryIO:
    return cast(BinaryIO, stream)


def _start() -> subprocess.Popen[bytes]:
    # One thread each: there are as many workers as files to be decoded at once.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", _START, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=environment,
    )
    if sys.platform == "linux":
        import fcntl

        # Beyond the user's share of pipe memory the usual size does, a little slower.
        with contextlib.suppress(OSError):
            fcntl.fcntl(_pipe(process.stdout), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


class DecoderPool:
    """Worker processes that decode; threads may share it. Close it, or use it in a ``with`` statement.

    Args:
        workers: how many files are decoded at once, None for one a core; further callers wait.
        timeout_s: how long a worker may take for one sample before it is killed.
        max_memory_bytes: address space that a worker may use (not on Windows); None for no limit.
    """

    def __init__(
        self, workers: int | None = None, *, timeout_s: float = 60.0, max_memory_bytes: int | None = 4 << 30
    ) -> None:
        count = workers if workers is not None else os.cpu_count() or 1
        if count < 1 or timeout_s <= 0:
            raise ValueError(f"workers must be >= 1 and timeout_s > 0, got {count} and {timeout_s}")
        self._timeout_s = timeout_s
        self._workers = [_Worker(max_memory_bytes) for _ in range(count)]
        # Last in, first out, so that no more processes start than are needed.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._closed = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="decoder-watchdog", daemon=True)
        self._watchdog.start()

    def sniff(self, path: Path | str, *, plugs: Sequence[str] = ()) -> MediaType | None:
        """As ``searchkit.media.sniff``; a worker opens only what needs a decoder to be told.

        Raises:
            DecodeError: as there; or the decoder crashed or took too long.
        """
        return sniff(path, plugs=plugs, has_pictures=self._has_pictures)

    def open_media(
        self,
        path: Path | str,
        settings: DecodeSettings = _DEFAULTS,
        *,
        media_type: MediaType | None = None,
    ) -> Decoded:
        """As ``searchkit.media.open_media``, but what gives few samples is decoded at once.

        The samples of long sounds and of videos keep a worker busy, from the first to the last.

        Raises:
            DecodeError: as there; or the decoder crashed or took too long.
        """
        path = Path(path)
        (message, _), *pieces = self._answers("open", path, settings, media_type)
        found, facts = MediaType.from_dict(message["media_type"]), Facts.from_dict(message["facts"])
        if message["whole"]:
            return Decoded(found, facts, iter([unpack_sample(*piece) for piece in pieces]))
        return Decoded(found, facts, self._samples(path, settings, found))

    def close(self) -> None:
        """End all workers; what they were decoding fails."""
        self._closed.set()
        self._watchdog.join()
        for worker in self._workers:
            worker.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _has_pictures(self, path: Path) -> bool:
        ((message, _),) = self._answers("probe", path, _DEFAULTS, None)
        return bool(message["has_pictures"])

    def _samples(self, path: Path, settings: DecodeSettings, media_type: MediaType) -> Iterator[Sample]:
        for message, body in self._answers("samples", path, settings, media_type):
            yield unpack_sample(message, body)

    def _answers(
        self, verb: str, path: Path, settings: DecodeSettings, media_type: MediaType | None
    ) -> Iterator[tuple[dict[str, Any], npt.NDArray[np.uint8]]]:
        request = {
            "verb": verb,
            # The worker keeps the folder that it started in, and spells errors with the caller's path.
            "path": os.path.abspath(path),  # noqa: PTH100 - keeps links
            "settings": asdict(settings),
            "media_type": asdict(media_type) if media_type else None,
            "timeout_s": self._timeout_s,
        }
        worker = self._take()
        finished = False
        try:
            worker.ask(request)
            while not (answer := worker.answer(self._timeout_s))[0].get("end"):
                if "error" in answer[0]:
                    finished = True
                    raise DecodeError(path, answer[0]["error"], hint=answer[0]["hint"])
                yield answer
            finished = True
        except (EOFError, BrokenPipeError) as error:
            raise DecodeError(path, self._cause_of_death(worker)) from error
        finally:
            if not finished:
                worker.stop()
            self._idle.put(worker)

    def _take(self) -> _Worker:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Empty):
                return self._idle.get(timeout=_WATCH_S)
        raise UsageError("the decoder pool is closed")

    def _cause_of_death(self, worker: _Worker) -> str:
        code = worker.stop()
        if worker.timed_out or (code is not None and -code == getattr(signal, "SIGALRM", None)):
            return f"decoding took longer than {self._timeout_s:g} s"
        if code is None or code >= 0:
            return f"the decoder crashed (exit code {code})"
        if -code == getattr(signal, "SIGKILL", None):
            return "the decoder was killed, perhaps for want of memory"
        return f"the decoder crashed ({signal.Signals(-code).name})"

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_S):
            for worker in self._workers:
                worker.watch()

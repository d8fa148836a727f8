"""Files that can be made again, kept in the library's ``cache/`` until they take too much room."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchkit.durable import replace_file
from searchkit.errors import DiskFull

__all__ = ["FileCache", "KeyedLocks"]

_PRUNE_EVERY = 500
_KEEP_SHARE = 0.8


class KeyedLocks:
    """One lock a key, so that what several ask for at once is made once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of a key."""
        with self._lock:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._held[key]
                if users == 1:
                    del self._held[key]
                else:
                    self._held[key] = (lock, users - 1)


class FileCache:
    """Files by name; least recently used ones go when the limit is reached.

    A full disk or a read-only library only means that nothing is kept.

    Args:
        folder: where they lie; made when it is needed.
        max_bytes: what they may take together, roughly.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._writes = 0
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes | None:
        """The content of a file, None when there is none."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Keep a file, if that is possible."""
        path = self._path(name)
        with contextlib.suppress(OSError, DiskFull):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(path, sync=False) as file:
                file.write(content)
        with self._lock:
            self._writes += 1
            due = self._writes % _PRUNE_EVERY == 0
        if due:
            self.prune()

    def prune(self) -> int:
        """Remove the least recently used files beyond the limit; returns how many bytes are left."""
        files: list[tuple[float, int, Path]] = []
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):
                found = path.stat()
                if path.is_file():
                    files.append((found.st_mtime, found.st_size, path))
        left = sum(size for _, size, _ in files)
        if left > self._max_bytes:
            for _, size, path in sorted(files):
                if left <= self._max_bytes * _KEEP_SHARE:
                    break
                with contextlib.suppress(OSError):
                    path.unlink()
                    left -= size
        return left

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

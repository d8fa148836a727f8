"""Connects to Qdrant and turns its client's exceptions into searchkit's; it knows no collection."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ApiException

from searchkit.errors import StoreError, StoreLocked, UsageError
from searchkit.lock import WriterLock

__all__ = ["LOCK_NAME", "Connection", "connect", "explained"]

LOCK_NAME = "searchkit.lock"


class Connection:
    """A client that the stores of one place share; it is closed with the last of them."""

    def __init__(self, place: str, client: QdrantClient, lock: WriterLock | None = None) -> None:
        self.place = place
        self.client = client
        self.local = lock is not None
        self.mutex = threading.RLock()
        self._lock = lock
        self._users = 0

    def release(self) -> None:
        """Say that one store is done with it."""
        with _REGISTRY:
            self._users -= 1
            if not self._users:
                _LOCAL.pop(self.place, None)
                self.client.close()
                if self._lock is not None:
                    self._lock.release()

    def acquire(self) -> Connection:
        """Say that one more store uses it."""
        self._users += 1
        return self


_REGISTRY = threading.Lock()
# the files of local mode let one client in, so stores of one process share it
_LOCAL: dict[str, Connection] = {}


def connect(spec: str) -> tuple[Connection, str]:
    """A connection, and the prefix of collection names that the spec asks for.

    ``qdrant://HOST[:PORT][/PREFIX]``, ``qdrants://`` (TLS), ``qdrant+local:PATH``. The API key is taken from
    the environment variable ``SEARCHKIT_QDRANT_API_KEY``, so that it never appears in a library's settings.

    Raises:
        UsageError: the spec is malformed.
        StoreLocked: another process has the folder open.
        StoreError: the server does not answer.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "qdrant+local":
        return _connect_local(Path(rest).expanduser().resolve()), ""
    parts = urlsplit(spec)
    try:
        host, port = parts.hostname, parts.port or 6333
    except ValueError as error:
        raise UsageError(f"{spec!r} has no valid port") from error
    if not host:
        raise UsageError(f"{spec!r} names no host", hint="write it as qdrant://localhost:6333")
    with explained(spec):
        client = QdrantClient(
            host=host,
            port=port,
            https=scheme == "qdrants",
            api_key=os.environ.get("SEARCHKIT_QDRANT_API_KEY") or None,
            timeout=30,
            check_compatibility=False,
        )
    return Connection(spec, client).acquire(), parts.path.strip("/")


def _connect_local(folder: Path) -> Connection:
    with _REGISTRY:
        known = _LOCAL.get(str(folder))
        if known is not None:
            return known.acquire()
        folder.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(folder / LOCK_NAME, f"the store {folder}", error=StoreLocked)
        try:
            with explained(str(folder)):
                # searches come from several threads; the store's own mutex keeps them apart
                client = QdrantClient(path=str(folder), force_disable_check_same_thread=True)
        except BaseException:
            lock.release()
            raise
        connection = Connection(str(folder), client, lock)
        _LOCAL[str(folder)] = connection
        return connection.acquire()


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn what qdrant-client raises into StoreError that names the place.

    Raises:
        StoreError: the server refused, or did not answer.
    """
    try:
        yield
    except (ApiException, RuntimeError, OSError) as error:
        raise StoreError(
            f"Qdrant at {place}: {error}", hint="check that the server runs and that its address is right"
        ) from error

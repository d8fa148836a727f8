"""Connects to Qdrant, repeats what may be repeated, explains what went wrong; it knows no collection."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import grpc
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from searchkit.errors import StoreError, StoreLocked
from searchkit.lock import WriterLock
from searchkit.stores.qdrant.settings import QdrantSettings

__all__ = ["LOCK_NAME", "Connection", "connect"]

LOCK_NAME = "searchkit.lock"

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_BUSY = frozenset({408, 429, 502, 503, 504})
_BUSY_GRPC = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
)


class Connection:
    """A client that the stores of one place share; it is closed with the last of them."""

    def __init__(
        self, settings: QdrantSettings, client: QdrantClient, lock: WriterLock | None = None
    ) -> None:
        self.settings = settings
        self._client = client
        self._lock = lock
        self._users = 0
        # local mode's files bear one thread at a time
        self._mutex = threading.RLock() if settings.local else nullcontext()

    def call(self, verb: str, **arguments: Any) -> Any:
        """Call a method of the client that may be repeated: tried anew, ever later, while the server is busy.

        Raises:
            StoreError: the server refused, or still does not answer.
        """
        wait_s = _FIRST_WAIT_S
        for attempt in range(1, self.settings.tries + 1):
            try:
                with self._mutex:
                    return getattr(self._client, verb)(**arguments)
            except (ApiException, QdrantException, RuntimeError, OSError, ValueError, grpc.RpcError) as error:
                asked_s = _pause_s(error)
                if asked_s is None or attempt == self.settings.tries:
                    raise StoreError(
                        f"Qdrant at {self.settings.place}: {_words(error)}",
                        hint="check that the server runs and that its address is right",
                    ) from error
                # a random part, so that several writers do not come back all at once
                time.sleep(max(asked_s, wait_s * random.uniform(0.5, 1.0)))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        raise AssertionError("unreachable")

    def acquire(self) -> Connection:
        """Say that one more store uses it."""
        self._users += 1
        return self

    def release(self) -> None:
        """Say that one store is done with it."""
        with _REGISTRY:
            self._users -= 1
            if not self._users:
                _LOCAL.pop(self.settings.folder, None)
                self._client.close()
                if self._lock is not None:
                    self._lock.release()


_REGISTRY = threading.Lock()
# the files of local mode let one client in, so stores of one process share it
_LOCAL: dict[str, Connection] = {}


def connect(settings: QdrantSettings) -> Connection:
    """A connection; nothing is asked of a server yet.

    The API key is taken from the environment variable ``SEARCHKIT_QDRANT_API_KEY``, so that it never appears
    in a library's settings.

    Raises:
        StoreLocked: another process has the folder open.
        StoreError: the folder cannot be opened.
    """
    if settings.local:
        return _connect_local(settings)
    client = QdrantClient(
        host=settings.host,
        port=settings.port,
        grpc_port=settings.grpc_port,
        prefer_grpc=settings.grpc,
        https=settings.tls,
        api_key=os.environ.get("SEARCHKIT_QDRANT_API_KEY") or None,
        timeout=settings.timeout_s,
        check_compatibility=False,
    )
    return Connection(settings, client).acquire()


def _connect_local(settings: QdrantSettings) -> Connection:
    folder = Path(settings.folder)
    with _REGISTRY:
        known = _LOCAL.get(settings.folder)
        if known is not None:
            return known.acquire()
        folder.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(folder / LOCK_NAME, f"the store {folder}", error=StoreLocked)
        try:
            # searches come from several threads; the connection's mutex keeps them apart
            client = QdrantClient(path=settings.folder, force_disable_check_same_thread=True)
        except (RuntimeError, OSError, ValueError) as error:
            lock.release()
            raise StoreError(f"Qdrant's files in {folder} cannot be opened: {error}") from error
        connection = Connection(settings, client, lock)
        _LOCAL[settings.folder] = connection
        return connection.acquire()


def _pause_s(error: Exception) -> float | None:
    """How long the server asks to wait at least; None when asking again is of no use."""
    if isinstance(error, ResourceExhaustedResponse):
        return min(float(error.retry_after_s), _LONGEST_WAIT_S)
    if isinstance(error, UnexpectedResponse):
        return 0.0 if error.status_code in _BUSY else None
    if isinstance(error, ResponseHandlingException):
        # no connection, or a time-out; an answer that cannot be parsed would come again
        return 0.0 if isinstance(error.source, OSError) or "httpx" in type(error.source).__module__ else None
    if isinstance(error, grpc.RpcError):
        code = error.code() if isinstance(error, grpc.Call) else None
        return 0.0 if code in _BUSY_GRPC else None
    return None


def _words(error: Exception) -> str:
    if isinstance(error, UnexpectedResponse):
        return f"{error.status_code} {error.reason_phrase}: {error.content.decode('utf-8', 'replace')[:300]}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__

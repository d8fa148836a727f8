"""Takes jobs from the catalog's queue for one worker, and keeps them taken while it lives."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from sqlalchemy import Connection

from searchkit.catalog import Catalog, jobs, runs, segments
from searchkit.catalog.jobs import ClaimedJob
from searchkit.errors import SearchkitError

__all__ = ["Claims"]

_WAIT_S = 1.0


class Claims:
    """Jobs, each this worker's until it is recorded; used by one worker, in a ``with``.

    Those that nobody has tried are taken a few at a time; after them, one by one, those that a worker had
    when it died. Where several workers share a catalog, ``more`` is false only when nobody has any left, so
    that the work of one that dies is taken over.

    Args:
        catalog: whose queue.
        space_id: which space's jobs.
        stop: set it to take no more.
        shared: other workers may be at the same queue.
        wait: go on while others have jobs.
        run_id: the run whose signs of life are noted.
        lease_s: for how long a sign of life lasts.
        at_once: how many jobs are taken together.
        name: how the worker's name begins; None for this machine's.
        limit: how many jobs are taken at most; None for all.
    """

    def __init__(
        self,
        catalog: Catalog,
        space_id: int,
        stop: threading.Event,
        *,
        shared: bool = False,
        wait: bool = True,
        run_id: int | None = None,
        lease_s: float = 120.0,
        at_once: int = 64,
        name: str | None = None,
        limit: int | None = None,
    ) -> None:
        self.owner = f"{name or socket.gethostname()}:{secrets.token_hex(6)}"
        self._catalog = catalog
        self._space_id = space_id
        self._stop = stop
        self._shared = shared
        self._wait = wait
        self._run_id = run_id
        self._lease_s = lease_s
        self._at_once = at_once
        self._left = limit if limit is not None else sys.maxsize
        self._done = threading.Event()
        self._heart: threading.Thread | None = None
        self.failure: SearchkitError | None = None

    def __iter__(self) -> Iterator[ClaimedJob]:
        """Jobs that nobody has tried, until there are none."""
        while taken := self._claim(self._at_once, tried=False):
            for job in taken:
                if self._stop.is_set():
                    return
                yield job

    def tried(self) -> Iterator[ClaimedJob]:
        """Jobs that a worker had when it died, one at a time: record each before asking for the next.

        So that one of them that kills its worker again is known by its ``attempts``.
        """
        while taken := self._claim(1, tried=True):
            yield from taken

    def more(self) -> bool:
        """Whether there is a job to take; waits while others may die of what they have."""
        while not self._stop.is_set() and self._left:
            with self._catalog.read() as connection:
                if jobs.count_jobs(connection, self._space_id, free=True):
                    return True
                others = jobs.count_jobs(connection, self._space_id, not_of=self.owner)
            if not (self._shared and self._wait and others):
                return False
            self._stop.wait(_WAIT_S)
        return False

    def _claim(self, most: int, *, tried: bool) -> list[ClaimedJob]:
        wanted = min(most, self._left)
        if self._stop.is_set() or not wanted:
            return []
        taken = self._catalog.write_again(lambda connection: self._take(connection, wanted, tried))
        self._left -= len(taken)
        return taken

    def _take(self, connection: Connection, wanted: int, tried: bool) -> list[ClaimedJob]:
        taken = jobs.claim_jobs(connection, self._space_id, self.owner, wanted, self._lease_s, tried=tried)
        again = [job.known.id for job in taken if job.attempts > 1 and job.known is not None]
        # What a worker that died has left of these files is in nobody's way any more.
        segments.mark_assets_deleting(connection, again, self._space_id, only_pending=True)
        return taken

    def __enter__(self) -> Claims:
        if self._shared:
            self._heart = threading.Thread(target=self._beat, name="leases", daemon=True)
            self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._heart is not None:
            self._heart.join()
        # Given back also after an error: what stays taken counts as tried by a worker that died.
        hidden = () if error is None else (SearchkitError,)
        with contextlib.suppress(*hidden), self._catalog.write() as connection:
            jobs.release_jobs(connection, self._space_id, self.owner)

    def _beat(self) -> None:
        due_s = time.monotonic()
        while not self._done.wait(max(0.0, due_s - time.monotonic())):
            due_s = time.monotonic() + self._lease_s / 4
            try:
                with self._catalog.write() as connection:
                    jobs.renew_leases(connection, self.owner, self._lease_s)
                    if self._run_id is not None:
                        runs.note_alive(connection, self._run_id)
            except SearchkitError as error:
                # The run's own writes will meet the same trouble and say so; a lost lease costs only time.
                self.failure = error
                due_s = time.monotonic() + _WAIT_S

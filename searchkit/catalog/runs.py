"""Verbs on runs: the history of what the indexer did."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, insert, select, update

from searchkit.catalog.tables import Run, RunState
from searchkit.catalog.types import storable

__all__ = [
    "RunRow",
    "ask_to_end",
    "end_run",
    "has_ended",
    "is_running",
    "note_alive",
    "recent_runs",
    "start_run",
]

_SILENT_S = 3600


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run; ``ended_at`` is None while it runs, or when it was killed."""

    id: int
    started_at: datetime
    ended_at: datetime | None
    state: RunState
    roots: list[str]
    counts: dict[str, Any]
    error: str | None
    host: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "started_at": self.started_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "state": self.state.value,
            "host": self.host,
            "roots": self.roots,
            "counts": self.counts,
            "error": self.error,
        }


def start_run(connection: Connection, space_id: int, roots: Sequence[str], *, alone: bool = True) -> int:
    """Note that a run begins in this process.

    Args:
        connection: a transaction that writes.
        space_id: the space that is indexed.
        roots: what is indexed.
        alone: no other run can be going on, so that earlier RUNNING ones were killed, and are marked so;
            otherwise those are that gave no sign of life for long.
    """
    now = datetime.now(UTC)
    dead = Run.state == RunState.RUNNING.value
    if not alone:
        dead = and_(dead, Run.seen_at < now - timedelta(seconds=_SILENT_S))
    connection.execute(
        update(Run).where(dead).values(state=RunState.INTERRUPTED.value, error="the process was killed")
    )
    inserted = connection.execute(
        insert(Run)
        .values(
            started_at=now,
            seen_at=now,
            state=RunState.RUNNING.value,
            pid=os.getpid(),
            host=socket.gethostname(),
            space_id=space_id,
            roots=list(roots),
            counts={},
        )
        .returning(Run.id)
    )
    return int(inserted.scalar_one())


def note_alive(connection: Connection, run_id: int) -> None:
    """Note that a run's process is alive."""
    connection.execute(update(Run).where(Run.id == run_id).values(seen_at=datetime.now(UTC)))


def ask_to_end(connection: Connection, run_id: int) -> None:
    """Have a run's workers on other machines end after the batch in hand; they ask ``is_running``."""
    connection.execute(update(Run).where(Run.id == run_id).values(state=RunState.INTERRUPTED.value))


def is_running(connection: Connection, run_id: int) -> bool:
    """Whether a run goes on."""
    return connection.scalar(select(Run.state).where(Run.id == run_id)) == RunState.RUNNING.value


def has_ended(connection: Connection, pid: int, *, after: int) -> bool:
    """Whether the run that a process of this machine began after run ``after`` is over."""
    mine = and_(Run.id > after, Run.pid == pid, Run.host == socket.gethostname())
    state = connection.scalar(select(Run.state).where(mine).order_by(Run.id.desc()).limit(1))
    return state is not None and state != RunState.RUNNING.value


def end_run(
    connection: Connection, run_id: int, state: RunState, counts: Mapping[str, Any], error: str | None = None
) -> None:
    """Note how a run ended."""
    connection.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(state=state.value, counts=dict(counts), error=storable(error), ended_at=datetime.now(UTC))
    )


def recent_runs(connection: Connection, limit: int = 20, *, before: int | None = None) -> list[RunRow]:
    """The latest runs, newest first; those older than ``before`` when it is given."""
    asked = select(
        Run.id, Run.started_at, Run.ended_at, Run.state, Run.roots, Run.counts, Run.error, Run.host
    )
    if before is not None:
        asked = asked.where(Run.id < before)
    rows = connection.execute(asked.order_by(Run.id.desc()).limit(limit))
    return [
        RunRow(
            row.id,
            row.started_at,
            row.ended_at,
            RunState(row.state),
            row.roots,
            row.counts,
            row.error,
            row.host,
        )
        for row in rows
    ]

"""Verbs on runs: the history of what the indexer did."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from searchkit.catalog.tables import Run, RunState

__all__ = ["RunRow", "end_run", "recent_runs", "start_run"]


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


def start_run(connection: Connection, space_id: int, roots: Sequence[str]) -> int:
    """Note that a run begins in this process; earlier RUNNING ones were killed and are marked so."""
    now = datetime.now(UTC)
    connection.execute(
        update(Run)
        .where(Run.state == RunState.RUNNING.value)
        .values(state=RunState.INTERRUPTED.value, error="the process was killed")
    )
    inserted = connection.execute(
        insert(Run)
        .values(
            started_at=now,
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


def end_run(
    connection: Connection, run_id: int, state: RunState, counts: Mapping[str, Any], error: str | None = None
) -> None:
    """Note how a run ended."""
    connection.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(state=state.value, counts=dict(counts), error=error, ended_at=datetime.now(UTC))
    )


def recent_runs(connection: Connection, limit: int = 20) -> list[RunRow]:
    """The latest runs, newest first."""
    rows = connection.execute(
        select(Run.id, Run.started_at, Run.ended_at, Run.state, Run.roots, Run.counts, Run.error)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    return [
        RunRow(row.id, row.started_at, row.ended_at, RunState(row.state), row.roots, row.counts, row.error)
        for row in rows
    ]

"""``/v1/runs``: what the indexer did, does, and shall do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from searchkit.catalog import details, jobs, runs, spaces
from searchkit.catalog.runs import RunRow
from searchkit.catalog.tables import RunState
from searchkit.web.cursors import number_of, write_cursor
from searchkit.web.library_models import RunInfo, RunList, RunRequest, RunStarted, RunStopped
from searchkit.web.problems import safe_text
from searchkit.web.served import Served, ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1/runs", tags=["library"])


@router.get("")
def recent_runs(
    served: ServedLibrary,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> RunList:
    """Index runs, newest first; of one that goes on, how far it is."""
    before = number_of(cursor, "before", default=None)
    with served.library.catalog.read() as connection:
        rows = runs.recent_runs(connection, limit + 1, before=before)
    more = write_cursor({"before": rows[limit - 1].id}) if len(rows) > limit else None
    return RunList(runs=[_run(served, row) for row in rows[:limit]], next_cursor=more)


@router.post("", status_code=202)
def start_run(wanted: RunRequest, served: ServedLibrary) -> RunStarted:
    """Bring the library in line with its folders in another process; ``GET /v1/runs`` says how far it is."""
    served.refuse_if_read_only()
    after = served.runs.start(wanted.paths, retry_failed=wanted.retry_failed)
    return RunStarted(started=True, after=after)


@router.post("/stop")
def stop_run(served: ServedLibrary) -> RunStopped:
    """End the run that this server started; what was recorded stays."""
    served.refuse_if_read_only()
    return RunStopped(stopped=served.runs.stop())


def _run(served: Served, row: RunRow) -> RunInfo:
    done = total = stage = None
    if row.state is RunState.RUNNING:
        with served.library.catalog.read() as connection:
            space_id = spaces.find_space(connection, served.encoder.space)
            if space_id is not None:
                done = sum(details.count_since(connection, space_id, row.started_at).values())
                waiting = jobs.count_jobs(connection, space_id)
                total = done + waiting if done or waiting else None
        stage = "scan" if total is None else "embed"
    return RunInfo(
        id=row.id,
        state=row.state.value,
        started_at=row.started_at,
        ended_at=row.ended_at,
        roots=[safe_text(root) for root in row.roots],
        counts=row.counts,
        error=None if row.error is None else safe_text(row.error),
        host=row.host,
        done=done,
        total=total,
        stage=stage,
    )

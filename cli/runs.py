"""``searchkit runs``: what the indexer did, run by run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import line, note, print_json, table

__all__ = ["runs"]


def runs(
    library: LibraryOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many, newest first.", min=1)] = 20,
    stages: Annotated[bool, typer.Option("--stages", help="Where the time of each run went.")] = False,
    json: JsonFlag = False,
) -> None:
    """List the runs of the indexer: when, how they ended, what they did.

    Example: searchkit runs -n 5 --stages
    """
    from searchkit.catalog.runs import recent_runs
    from searchkit.library import open_library

    with open_library(library, create=False, read_only=True) as opened, opened.catalog.read() as connection:
        found = recent_runs(connection, limit)
    if json:
        print_json({"runs": [run.to_dict() for run in found]})
        return
    if not found:
        note("no run yet: searchkit index FOLDER")
        return
    rows = [
        (f"{run.started_at:%Y-%m-%d %H:%M:%S}", run.state.value, _seconds(run.counts), _counts(run.counts))
        for run in found
    ]
    table(("started (UTC)", "ended", "seconds", "files"), rows)
    if stages:
        for run in found:
            line()
            line(f"{run.started_at:%Y-%m-%d %H:%M:%S} on {run.host}")
            for name, spent in run.counts.get("stages", {}).items():
                line(f"  {name:<8} {spent['seconds']:>9.1f} s  {spent['count']:>9}")
    for run in found:
        if run.error:
            note(f"{run.started_at:%Y-%m-%d %H:%M:%S}: {run.error}")


def _seconds(counts: dict[str, Any]) -> str:
    return f"{counts['seconds']:.1f}" if "seconds" in counts else ""


def _counts(counts: dict[str, Any]) -> str:
    names = ("new", "changed", "moved", "gone", "same", "failed", "skipped", "remaining")
    return ", ".join(f"{counts[name]} {name}" for name in names if counts.get(name))

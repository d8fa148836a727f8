"""``searchkit watch``: keep a library current while files change."""

from __future__ import annotations

import signal
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.cli.interrupts import be_nice, stopper
from searchkit.cli.logs import LogJsonOption, json_logs
from searchkit.cli.options import LibraryOption, ModelDirOption, ModelOption
from searchkit.cli.output import line, note
from searchkit.cli.progress import open_progress

if TYPE_CHECKING:
    from searchkit.errors import SearchkitError
    from searchkit.indexer import IndexReport

__all__ = ["watch"]


def watch(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders; none means everything indexed before.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="Pass these over: a pattern as in .gitignore.", show_default=False),
    ] = None,
    rescan: Annotated[
        float,
        typer.Option(
            "--rescan", help="Minutes after which everything is looked at again, reported or not.", min=0.1
        ),
    ] = 60.0,
    nice: Annotated[int, typer.Option("--nice", help="Leave processor time to others: 1 to 19.")] = 0,
    log_json: LogJsonOption = None,
) -> None:
    """Index folders, then keep the library current until Ctrl-C. Needs the extra `watch`.

    Example: searchkit watch ~/Pictures --nice 10
    """
    from searchkit.indexer import watch as keep_current
    from searchkit.indexer.source import require
    from searchkit.library import open_library

    require(*(paths or ()))
    stop = threading.Event()
    be_nice(nice)
    with json_logs(log_json), open_library(library, model=model, model_dir=model_dir) as opened:
        previous = signal.signal(signal.SIGINT, stopper(stop))
        signal.signal(signal.SIGTERM, stopper(stop))
        try:
            with open_progress(quiet=True) as progress:
                keep_current(
                    opened,
                    paths or (),
                    on_report=_say,
                    stop=stop,
                    progress=progress,
                    exclude=exclude or (),
                    rescan_s=60 * rescan,
                    on_ready=lambda: note("watching; Ctrl-C ends it"),
                    on_trouble=_warn,
                )
        finally:
            signal.signal(signal.SIGINT, previous)


def _warn(trouble: SearchkitError) -> None:
    note(f"{trouble}\n  -> {trouble.hint}" if trouble.hint else str(trouble))


def _say(report: IndexReport) -> None:
    for failure in report.errors:
        note(f"  not indexed: {failure.path}: {failure.reason}")
    counts = ", ".join(f"{count} {name}" for name, count in report.counts().items() if count)
    line(f"{datetime.now().astimezone():%H:%M:%S} {counts or 'nothing to do'} ({report.seconds:.1f} s)")

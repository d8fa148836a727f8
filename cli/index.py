"""``searchkit index``: bring a library in line with folders."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.cli.exits import Exit
from searchkit.cli.interrupts import be_nice, stopper
from searchkit.cli.logs import LogJsonOption, json_logs
from searchkit.cli.options import (
    CatalogOption,
    JsonFlag,
    LibraryOption,
    ModelDirOption,
    ModelOption,
    RayCoresOption,
    RayOption,
    StoreOption,
)
from searchkit.cli.output import line, note, print_json, shown_path
from searchkit.cli.progress import open_progress

if TYPE_CHECKING:
    from searchkit.indexer import IndexReport

__all__ = ["index", "summary"]


def index(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, URLs (s3://...); none means everything indexed before.", show_default=False
        ),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    store: StoreOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Files decoded at once, in this run (default: cores).")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="ONE-PEACE: merge similar tokens; quicker, less exact.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Samples encoded together, in this run.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that failed and did not change.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="An empty folder means that its files were deleted.")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="Pass these over: a pattern as in .gitignore.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be done.")] = False,
    nice: Annotated[int, typer.Option("--nice", help="Leave processor time to others: 1 to 19.")] = 0,
    catalog: CatalogOption = None,
    ray: RayOption = None,
    ray_cores: RayCoresOption = 0,
    log_json: LogJsonOption = None,
    json: JsonFlag = False,
) -> int:
    """Index photos, sounds, videos and texts; a second run only looks at what changed.

    Example: searchkit index ~/Pictures ~/Music
    """
    from searchkit.cli.dry_runs import dry_library
    from searchkit.config import default_library
    from searchkit.indexer import RayOptions
    from searchkit.indexer.source import require
    from searchkit.library import open_library

    require(*(paths or ()))
    stop = threading.Event()
    be_nice(nice)
    with (
        json_logs(log_json),
        dry_library(library) if dry_run and not catalog else nullcontext(library) as place,
        open_library(
            place,
            create=bool(paths or catalog),
            model=f"{model or 'one-peace'}:fast" if fast else model,
            model_dir=model_dir,
            store=store,
            catalog=catalog,
            jobs=jobs,
            batch_size=batch_size,
        ) as opened,
    ):
        if opened.catalog.backup is not None:
            note(f"the catalog was upgraded; the old one is {opened.catalog.backup}")
        previous = signal.signal(signal.SIGINT, stopper(stop))
        try:
            # Ray's own remarks have no place among what a program reads.
            aside = redirect_stdout(sys.stderr) if ray else nullcontext()
            with open_progress(quiet=json) as progress, aside:
                report = opened.index(
                    *(paths or ()),
                    progress=progress,
                    retry_failed=retry_failed,
                    allow_empty=allow_empty,
                    dry_run=dry_run,
                    exclude=exclude or (),
                    stop=stop,
                    ray=None if ray is None else RayOptions(ray, ray_cores),
                )
        finally:
            signal.signal(signal.SIGINT, previous)
    if dry_run:
        report.library = (library or default_library()).expanduser().absolute()
    if json:
        print_json(report.to_dict())
    else:
        summary(report, dry_run=dry_run)
    if report.interrupted:
        return Exit.INTERRUPTED
    usable = report.new + report.changed + report.moved + report.same + report.gone
    return Exit.MEDIA if report.failed and not usable else Exit.OK


def summary(report: IndexReport, *, dry_run: bool = False) -> None:
    """A run's counts in one line, its errors before."""
    for file in report.plan:
        moved = "" if file.old_path is None else f" (from {shown_path(Path(file.old_path))})"
        line(f"{file.action:<8} {shown_path(Path(file.path))}{moved}")
    for failure in report.errors:
        note(f"  not indexed: {shown_path(Path(failure.path))}: {failure.reason}")
    counts = (
        ", ".join(f"{count} {name}" for name, count in report.counts().items() if count) or "nothing to do"
    )
    done = f"{counts} ({report.seconds:.1f} s) in {shown_path(Path(report.library))}"
    line(f"would be: {done}" if dry_run else done)
    if report.interrupted:
        left = f"{report.remaining} files remain" if report.remaining else "not all folders were looked at"
        note(f"interrupted, {left}; what is listed above stays; run the same command again to go on")

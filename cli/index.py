"""``searchkit index``: bring a library in line with folders."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit.cli.exits import Exit
from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption, StoreOption
from searchkit.cli.output import line, note, print_json
from searchkit.cli.progress import open_progress

if TYPE_CHECKING:
    from searchkit.indexer import IndexReport

__all__ = ["index", "summary"]


def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders; none means everything indexed before.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    store: StoreOption = None,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Decoding threads (default: cores).")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Samples encoded together.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that failed and did not change.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="An empty folder means that its files were deleted.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: JsonFlag = False,
) -> int:
    """Index photos, sounds, videos and texts; a second run only looks at what changed.

    Example: searchkit index ~/Pictures ~/Music
    """
    from searchkit.library import open_library

    stop = threading.Event()
    with open_library(
        library, model=model, model_dir=model_dir, store=store, jobs=jobs, batch_size=batch_size
    ) as opened:
        if opened.catalog.backup is not None:
            note(f"the catalog was upgraded; the old one is {opened.catalog.backup}")
        previous = signal.signal(signal.SIGINT, _stopper(stop))
        try:
            with open_progress(quiet=json) as progress:
                report = opened.index(
                    *(paths or ()),
                    progress=progress,
                    retry_failed=retry_failed,
                    allow_empty=allow_empty,
                    dry_run=dry_run,
                    stop=stop,
                )
        finally:
            signal.signal(signal.SIGINT, previous)
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
    for failure in report.errors:
        note(f"  not indexed: {failure.path}: {failure.reason}")
    counts = (
        ", ".join(f"{count} {name}" for name, count in report.counts().items() if count) or "nothing to do"
    )
    line(f"{'would be: ' if dry_run else ''}{counts} ({report.seconds:.1f} s) in {report.library}")
    if report.interrupted:
        note("interrupted: what is listed above stays; run the same command again to go on")


def _stopper(stop: threading.Event) -> Any:
    def on_interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("finishing the batch in hand; press Ctrl-C again to stop at once")

    return on_interrupt

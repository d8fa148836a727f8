"""Keeps a library in line with folders while it is told to: what the system reports as changed is indexed.

It sorts out which folders to look at again; looking, embedding and recording are those of any other run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from searchkit.catalog import assets
from searchkit.errors import DependencyMissing, LibraryLocked, UsageError
from searchkit.indexer.planner import Scope
from searchkit.indexer.progress import NO_PROGRESS, Progress
from searchkit.indexer.report import IndexReport
from searchkit.indexer.rules import IGNORE_FILE
from searchkit.indexer.run import index, index_scopes, open_decoder
from searchkit.indexer.scan import outermost
from searchkit.library import Library

__all__ = ["changed_scopes", "watch"]

_MANY = 500
_RETRY_S = 5.0


def watch(
    library: Library,
    paths: Sequence[str | Path],
    *,
    on_report: Callable[[IndexReport], None],
    stop: threading.Event,
    progress: Progress = NO_PROGRESS,
    exclude: Sequence[str] = (),
    quiet_s: float = 0.4,
    debounce_s: float = 4.0,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Index folders, then index what changes in them, until ``stop`` is set.

    Changes are gathered until nothing else has changed for a moment, so that files that come together are
    embedded together, and a move is seen whole. One set of decoders serves all runs.

    Args:
        library: where to.
        paths: files and folders; empty means everything that was indexed before.
        on_report: hears what came of the first run, and of each later one that found something to do.
        stop: ends it, after the batch in hand.
        progress: hears how far each run is.
        exclude: patterns of files to pass over.
        quiet_s: how long nothing else may change before what has changed is looked at.
        debounce_s: how long changes are gathered at most.
        on_ready: called when changes are being listened for.

    Raises:
        DependencyMissing: the extra ``watch`` is not installed.
        UsageError: a path does not exist, or holds no files.
    """
    try:
        import watchfiles
    except ModuleNotFoundError as error:
        raise DependencyMissing("watchfiles", "watch") from error
    with library.catalog.read() as connection:
        known = [path for path, _ in assets.roots(connection)]
    folders = outermost([os.path.abspath(Path(path).expanduser()) for path in paths] or known)  # noqa: PTH100
    missing = [folder for folder in folders if not Path(folder).exists()]
    if missing or not folders:
        raise UsageError(
            f"no such folder: {missing[0]}" if missing else "there is nothing to watch",
            hint="searchkit watch FOLDER",
        )
    with open_decoder(library) as decoder:
        # Listening begins before the first run, so that what changes during it is not missed.
        changes = watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=int(debounce_s * 1000),
            step=int(quiet_s * 1000),
            stop_event=stop,
            yield_on_timeout=True,
            rust_timeout=500,
            raise_interrupt=False,
        )
        next(changes, None)
        on_ready()
        on_report(index(library, folders, progress=progress, exclude=exclude, stop=stop, decoder=decoder))
        waiting: set[str] = set()
        for changed in changes:
            waiting.update(path for _, path in changed)
            scopes = changed_scopes(waiting, folders, str(library.folder))
            if not scopes or stop.is_set():
                waiting.clear()
                continue
            try:
                report = index_scopes(
                    library, scopes, progress=progress, exclude=exclude, stop=stop, decoder=decoder
                )
            except LibraryLocked:
                stop.wait(_RETRY_S)  # somebody else is indexing; what changed is looked at afterwards
                continue
            waiting.clear()
            if any(count for name, count in report.counts().items() if name not in ("same", "skipped")):
                on_report(report)


def changed_scopes(paths: Iterable[str], folders: Sequence[str], library: str) -> list[Scope]:
    """What to look at again after some paths have changed.

    Args:
        paths: what was reported as changed; it may be gone by now.
        folders: what is being watched.
        library: the library's own folder, whose changes do not count.
    """
    chosen: list[str] = []
    for path in paths:
        if path == library or path.startswith(library + "/"):
            continue
        # Rules that have changed concern the whole folder that they lie in.
        chosen.append(os.path.dirname(path) if os.path.basename(path) == IGNORE_FILE else path)  # noqa: PTH119, PTH120
    if len(chosen) > _MANY:
        chosen = [os.path.dirname(path) for path in chosen]  # noqa: PTH120
    if len(set(chosen)) > _MANY:
        chosen = list(folders)
    scopes = []
    for path in outermost(chosen):
        root = next((f for f in folders if path == f or path.startswith(f.rstrip("/") + "/")), None)
        if root is not None:
            # A watched folder that is empty all at once may have been unmounted: it is not taken for deleted.
            scopes.append(Scope(path, root, may_be_gone=path != root))
    return scopes

"""One run of the indexer: scan, plan, decode, encode, record, sweep."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from searchkit.catalog import assets, runs, spaces
from searchkit.catalog.tables import RunState
from searchkit.errors import DecodeError, LibraryError, SearchkitError, UsageError
from searchkit.indexer.decode import Job
from searchkit.indexer.hashing import content_hash
from searchkit.indexer.pipeline import Pipeline
from searchkit.indexer.plan import Move, Plan, make_plan, match_moves
from searchkit.indexer.progress import NO_PROGRESS, Progress
from searchkit.indexer.record import Recorder
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.indexer.scan import Scan, scan
from searchkit.indexer.writer import Writer
from searchkit.library import Library

__all__ = ["index", "remove"]


def index(
    library: Library,
    paths: Sequence[str | Path],
    *,
    progress: Progress = NO_PROGRESS,
    retry_failed: bool = False,
    allow_empty: bool = False,
    dry_run: bool = False,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Bring a library in line with files and folders.

    Files that did not change cost a stat. A file that cannot be read becomes an error in the report and in
    the catalog; it never ends the run. What was recorded stays, whatever happens.

    Args:
        library: where to.
        paths: files and folders; empty means everything that was indexed before.
        progress: hears how far the run is.
        retry_failed: try files again that failed earlier and did not change.
        allow_empty: a folder without files means that its files were deleted, not that a disk is missing.
        dry_run: only say what would be done: ``changed`` then counts files that look different.
        stop: set it to end the run after the batch in hand.

    Raises:
        UsageError: a path does not exist, or there is nothing in it that could be indexed.
        LibraryLocked: another process is writing to the library.
        LibraryError: a folder that held indexed files is empty now, and ``allow_empty`` is not set.
        DiskFull: no space is left.
    """
    started = time.monotonic()
    with Writer(library) as writer:
        scopes = _scopes(library, paths)
        report = IndexReport(library=library.folder, space=str(library.space))
        recipe = library.decode_settings.fingerprint
        progress.stage("scan", None)
        seen = scan(scopes, skip=[library.folder])
        with library.catalog.write() as connection:
            space_id = spaces.ensure_space(connection, library.space)
            known = assets.known_assets(connection, space_id, scopes)
        _refuse_empty(scopes, seen, known.keys(), allow_empty)
        plan = make_plan(seen.found, known, recipe=recipe, closed=seen.closed, retry_failed=retry_failed)
        moves = _match_moves(plan, progress)
        report.moved, report.gone, report.same = len(moves), len(plan.gone), len(plan.same)
        report.skipped = len(plan.skipped)
        report.errors += [FileFailure(entry.path, entry.reason) for entry in seen.unreadable]
        report.errors += [FileFailure(asset.path, asset.error or "") for asset in plan.failed]
        report.failed = len(report.errors)
        if dry_run:
            report.new, report.changed = len(plan.new), len(plan.changed) + len(plan.again)
            report.seconds = time.monotonic() - started
            return report
        with library.catalog.write() as connection:
            for scope in scopes:
                assets.ensure_root(connection, scope)
            roots = assets.roots(connection)
            run_id = runs.start_run(connection, space_id, scopes)
        recorder = Recorder(writer, space_id, library.space, recipe, roots)
        try:
            recorder.sweep(stale_pending=True)
            with library.catalog.write() as connection:
                for move in moves:
                    root_id = recorder.root_of(move.found.path)
                    assets.move_asset(
                        connection,
                        move.known.id,
                        root_id=root_id,
                        path=move.found.path,
                        mtime_ns=move.found.mtime_ns,
                    )
            jobs = _jobs(plan, recipe)
            recorder.forget(asset.id for asset in plan.gone)
            Pipeline(library, recorder, report, progress, stop or threading.Event()).run(jobs)
            progress.stage("clean", None)
            recorder.sweep()
            recorder.refresh_means()
        except BaseException as error:
            _end(library, run_id, report, started, RunState.FAILED, str(error) or type(error).__name__)
            raise
        state = RunState.INTERRUPTED if report.interrupted else RunState.DONE
        _end(library, run_id, report, started, state)
    if report.skipped and not any(
        (report.new, report.changed, report.moved, report.gone, report.same, report.failed)
    ):
        raise UsageError(
            f"no photos, sounds, videos or texts in {', '.join(scopes)}: "
            f"{report.skipped} other files were passed over",
            hint="searchkit index FOLDER_WITH_MEDIA",
        )
    return report


def remove(library: Library, paths: Sequence[str | Path]) -> int:
    """Take files and folders out of a library; the files themselves stay. Returns how many assets went.

    Raises:
        UsageError: the library holds nothing at or below a path.
        LibraryLocked: another process is writing to the library.
    """
    with Writer(library) as writer:
        doomed: set[int] = set()
        with library.catalog.read() as connection:
            for path in paths:
                found = assets.ids_under(connection, str(Path(path).expanduser().absolute()))
                if not found:
                    raise UsageError(
                        f"the library holds nothing at {path}", hint="`searchkit status` lists its folders"
                    )
                doomed.update(found)
        recorder = Recorder(writer, 0, library.space, "")
        recorder.forget(sorted(doomed))
        with library.catalog.write() as connection:
            assets.delete_empty_roots(connection)
        recorder.refresh_means()
    return len(doomed)


def _end(
    library: Library,
    run_id: int,
    report: IndexReport,
    started: float,
    state: RunState,
    error: str | None = None,
) -> None:
    report.seconds = time.monotonic() - started
    try:
        with library.catalog.write() as connection:
            counts = {**report.counts(), "seconds": round(report.seconds, 3)}
            runs.end_run(connection, run_id, state, counts, error)
    except SearchkitError:
        if error is None:
            raise


def _scopes(library: Library, paths: Sequence[str | Path]) -> list[str]:
    """The paths as absolute text, without those that lie within others."""
    if not paths:
        with library.catalog.read() as connection:
            chosen = [path for path, _ in assets.roots(connection)]
        if not chosen:
            raise UsageError("there is nothing to index", hint="searchkit index FOLDER")
    else:
        chosen = [os.path.abspath(Path(path).expanduser()) for path in paths]  # noqa: PTH100 - resolves "..", not links
    for path in chosen:
        if not Path(path).exists():
            raise UsageError(
                f"no such file or folder: {path}",
                hint="check the name; if a disk is not mounted, mount it; "
                f"to forget what was indexed there: searchkit remove '{path}'",
            )
    chosen = sorted(set(chosen))
    return [
        path
        for path in chosen
        if not any(path != other and path.startswith(other.rstrip("/") + "/") for other in chosen)
    ]


def _refuse_empty(scopes: Sequence[str], seen: Scan, known: Iterable[str], allow_empty: bool) -> None:
    for scope in scopes:
        prefix = scope.rstrip("/") + "/"
        if any(entry.path == scope or entry.path.startswith(prefix) for entry in seen.found):
            continue
        had = sum(1 for path in known if path == scope or path.startswith(prefix))
        if had and not allow_empty:
            raise LibraryError(
                f"{scope} is empty, but {had} of its files are in the library; is a disk not mounted?",
                hint=f"mount it and run again, or, if they are really gone: "
                f"searchkit index '{scope}' --allow-empty",
            )
        if not had and not seen.unreadable:
            raise UsageError(f"{scope} holds no files", hint="searchkit index FOLDER_WITH_MEDIA")


def _match_moves(plan: Plan, progress: Progress) -> list[Move]:
    """Take assets that only lie elsewhere now out of the plan; only new files of a fitting size are read."""
    sizes = {asset.size_bytes for asset in plan.gone if asset.content_hash is not None}
    candidates = [entry for entry in plan.new if entry.size_bytes in sizes]
    if not candidates:
        return []
    progress.stage("hash", len(candidates))
    hashes: dict[str, str] = {}
    for entry in candidates:
        with contextlib.suppress(DecodeError):  # the decoder will say why it cannot be read
            hashes[entry.path] = content_hash(entry.path)
        progress.advance()
    moves, plan.gone, plan.new = match_moves(plan.gone, plan.new, hashes)
    return moves


def _jobs(plan: Plan, recipe: str) -> list[Job]:
    jobs = [Job(found, is_new=True) for found in plan.new]
    for entry in (*plan.changed, *plan.again):
        known = entry.known
        embedded = known.embedded_hash if known.recipe == recipe else None
        jobs.append(Job(entry.found, known.id, embedded, is_new=known.state is None))
    return jobs

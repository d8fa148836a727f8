"""One run of the indexer: plan, decode, encode, record, sweep."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit import media
from searchkit.catalog import assets, jobs, runs, spaces, words
from searchkit.catalog.tables import RunState
from searchkit.catalog.types import lies_below
from searchkit.errors import SearchkitError, UsageError
from searchkit.indexer.claims import Claims
from searchkit.indexer.decode import Decoder
from searchkit.indexer.pipeline import Pipeline
from searchkit.indexer.planner import Plan, PlanOptions, Scope, plan_scopes
from searchkit.indexer.progress import NO_PROGRESS, Progress
from searchkit.indexer.record import Recorder
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.indexer.rules import make_rules, passed_over
from searchkit.indexer.scan import outermost
from searchkit.indexer.source import absolute, is_url, require
from searchkit.indexer.sweep import forget, refresh_moments, sweep
from searchkit.indexer.writer import Writer
from searchkit.library import Library
from searchkit.types import strings

if TYPE_CHECKING:
    from searchkit.indexer.ray_cluster import Cluster, RayOptions

__all__ = ["index", "index_scopes", "make_scopes", "open_decoder", "remove"]

_LOG = logging.getLogger(__name__)
_NO_SPACE = -1
_WAIT_S = 1.0


def index(
    library: Library,
    paths: Sequence[str | Path],
    *,
    progress: Progress = NO_PROGRESS,
    retry_failed: bool = False,
    allow_empty: bool = False,
    dry_run: bool = False,
    exclude: str | Sequence[str] = (),
    stop: threading.Event | None = None,
    decoder: Decoder | None = None,
    ray: RayOptions | None = None,
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
        exclude: patterns of files to pass over, besides the library's own and ``.searchkitignore`` files.
        stop: set it to end the run after the batch in hand.
        decoder: what decodes, when the caller has one open; None opens what the settings say.
        ray: the Ray cluster that decodes and embeds; None for this process.

    Raises:
        UsageError: a path does not exist, or there is nothing in it that could be indexed.
        LibraryLocked: another process is writing to the library.
        LibraryError: a folder that held indexed files is empty now, and ``allow_empty`` is not set.
        DiskFull: no space is left.
        DependencyMissing: ``ray`` is given and the extra of that name is not installed.
    """
    exclude = strings(exclude)
    scopes = make_scopes(library, paths, exclude, allow_empty)
    report = index_scopes(
        library,
        scopes,
        progress=progress,
        retry_failed=retry_failed,
        dry_run=dry_run,
        exclude=exclude,
        stop=stop,
        decoder=decoder,
        ray=ray,
    )
    if report.skipped and not dry_run and not any(report.counts()[name] for name in _SOMETHING):
        raise UsageError(
            f"no photos, sounds, videos or texts in {', '.join(scope.path for scope in scopes)}: "
            f"{report.skipped} other files were passed over",
            hint="searchkit index FOLDER_WITH_MEDIA",
        )
    return report


def index_scopes(
    library: Library,
    scopes: Sequence[Scope],
    *,
    progress: Progress = NO_PROGRESS,
    retry_failed: bool = False,
    dry_run: bool = False,
    exclude: Sequence[str] = (),
    stop: threading.Event | None = None,
    decoder: Decoder | None = None,
    ray: RayOptions | None = None,
) -> IndexReport:
    """As ``index``, for scopes whose roots are known; a scope that does not exist any more is gone."""
    patterns = (*library.settings.exclude, *exclude)
    options = PlanOptions(library.decode_settings.fingerprint, retry_failed, patterns, dry_run)
    run = _Run(library, scopes, options, progress, stop or threading.Event(), decoder)
    if dry_run:
        return run.rehearse()
    if ray is None:
        return run.perform()
    from searchkit.indexer.ray_cluster import connect

    with connect(library, ray) as cluster:
        return run.perform(cluster)


_SOMETHING = ("new", "changed", "moved", "gone", "same", "failed")


class _Run:
    def __init__(
        self,
        library: Library,
        scopes: Sequence[Scope],
        options: PlanOptions,
        progress: Progress,
        stop: threading.Event,
        decoder: Decoder | None,
    ) -> None:
        self._library = library
        self._scopes = scopes
        self._options = options
        self._progress = progress
        self._stop = stop
        self._decoder = decoder
        self._cluster: Cluster | None = None
        self._parked = 0
        self._started = time.monotonic()
        self._report = IndexReport(library=library.folder, space=str(library.space))

    def rehearse(self) -> IndexReport:
        """Only say what would be done; takes no lock and writes nothing."""
        with self._library.catalog.read() as connection:
            space_id = spaces.find_space(connection, self._library.space)
        plan = self._plan(_NO_SPACE if space_id is None else space_id)
        report = self._report
        report.plan = plan.files
        report.new = sum(file.action == "new" for file in plan.files)
        report.changed = plan.jobs - report.new
        report.errors += [FileFailure(entry.path, entry.reason) for entry, _ in plan.unreadable]
        report.failed = len(report.errors)
        report.seconds = time.monotonic() - self._started
        return report

    def perform(self, cluster: Cluster | None = None) -> IndexReport:
        """Plan and work, with the library open for writing and the run noted in its history."""
        self._cluster = cluster
        library, report = self._library, self._report
        with Writer(library) as writer:
            with library.catalog.write() as connection:
                space_id = spaces.ensure_space(connection, library.space)
                if not library.is_shared:
                    self._parked = jobs.park_jobs(connection, died=writer.was_left)
                roots = [scope.path for scope in self._scopes]
                run_id = runs.start_run(connection, space_id, roots, alone=not library.is_shared)
            writer.see_to_jobs()
            _LOG.info("began", extra={"run": run_id, "roots": roots, "space": report.space})
            try:
                if not library.is_shared:
                    sweep(writer, stale_pending=True)
                self._plan_and_work(writer, space_id, run_id)
                if writer.touched:
                    self._progress.stage("clean", None)
                    started_s = time.monotonic()
                    sweep(writer)
                    refresh_moments(writer)
                    report.stages.add("clean", time.monotonic() - started_s)
                if report.interrupted:
                    with library.catalog.read() as connection:
                        report.remaining = jobs.count_jobs(connection, space_id)
            except BaseException as error:
                self._end(run_id, RunState.FAILED, str(error) or type(error).__name__)
                raise
            self._end(run_id, RunState.INTERRUPTED if report.interrupted else RunState.DONE)
        return report

    def _plan_and_work(self, writer: Writer, space_id: int, run_id: int) -> None:
        recorder = Recorder(writer, space_id, self._library.space, self._options.recipe)
        while True:
            with self._library.catalog.planning() as mine:
                if mine:
                    self._apply(self._plan(space_id), writer, recorder, space_id)
                    break
            # Another machine is looking through its folders: meanwhile, help with what it has found.
            self._work(recorder, space_id, run_id, wait=False)
            if self._stop.wait(_WAIT_S):
                break
        self._work(recorder, space_id, run_id, wait=True)
        self._report.interrupted = self._report.interrupted or self._stop.is_set()

    def _plan(self, space_id: int) -> Plan:
        library, report = self._library, self._report
        if library.is_shared and not self._options.dry_run:
            with library.catalog.write() as connection:
                jobs.clear_jobs(connection, space_id, [scope.path for scope in self._scopes])
        self._progress.stage("scan", None)
        started_s = time.monotonic()
        plan = plan_scopes(library, space_id, self._scopes, self._options, self._progress, self._stop)
        if self._parked and not self._stop.is_set():
            with library.catalog.write() as connection:
                jobs.clear_parked(connection, space_id, [scope.path for scope in self._scopes])
        report.stages.add("scan", time.monotonic() - started_s, plan.jobs + plan.same)
        _LOG.info(
            "planned",
            extra={
                "jobs": plan.jobs,
                "same": plan.same,
                "moved": len(plan.moves),
                "gone": len(plan.gone),
                "seconds": round(time.monotonic() - started_s, 3),
            },
        )
        report.moved, report.gone = len(plan.moves), len(plan.gone)
        report.same, report.skipped = plan.same, plan.skipped
        report.errors += plan.failed
        report.failed = len(report.errors)
        return plan

    def _apply(self, plan: Plan, writer: Writer, recorder: Recorder, space_id: int) -> None:
        """Do what a plan says of files that need not be decoded."""
        with self._library.catalog.write() as connection:
            for scope in self._scopes:
                assets.ensure_root(connection, scope.root)
            jobs.drop_jobs(connection, space_id, [move.found.path for move in plan.moves])
            for move in plan.moves:
                assets.move_asset(
                    connection,
                    move.known.id,
                    root_id=recorder.root_of(connection, move.found.path),
                    path=move.found.path,
                    mtime_ns=move.found.mtime_ns,
                )
            moved = [move.known.id for move in plan.moves]
            words.index_assets(connection, moved)
            words.catch_up(connection)
            writer.write_fields(connection, moved)
        recorder.note_unreadable(plan.unreadable)
        self._report.errors += [FileFailure(entry.path, entry.reason) for entry, _ in plan.unreadable]
        self._report.failed = len(self._report.errors)
        forget(writer, (asset.id for asset in plan.gone))

    def _work(self, recorder: Recorder, space_id: int, run_id: int, *, wait: bool) -> None:
        library = self._library
        with library.catalog.read() as connection:
            waiting = jobs.count_jobs(connection, space_id)
        if not waiting or self._stop.is_set():
            return
        if self._cluster is not None:
            roots = [scope.path for scope in self._scopes]
            self._cluster.embed(recorder, run_id, roots, self._report, self._progress, self._stop, wait=wait)
            return
        self._progress.stage("decode", waiting)
        self._progress.stage("embed", waiting)
        claims = Claims(
            library.catalog,
            space_id,
            self._stop,
            shared=library.is_shared,
            wait=wait,
            run_id=run_id,
            lease_s=library.settings.lease_s,
        )
        recorder.owner = claims.owner
        with claims, open_decoder(library, self._decoder) as decoder:
            pipeline = Pipeline(library, decoder, recorder, self._report, self._progress, self._stop)
            pipeline.run_claims(claims, self._options.recipe)

    def _end(self, run_id: int, state: RunState, error: str | None = None) -> None:
        report = self._report
        report.seconds = time.monotonic() - self._started
        counts = {
            **report.counts(),
            "remaining": report.remaining,
            "seconds": round(report.seconds, 3),
            "stages": report.stages.to_dict(),
        }
        _LOG.info("ended", extra={"run": run_id, "state": state.value, "error": error, **counts})
        try:
            with self._library.catalog.write() as connection:
                runs.end_run(connection, run_id, state, counts, error)
        except SearchkitError:
            if error is None:
                raise


@contextlib.contextmanager
def open_decoder(library: Library, given: Decoder | None = None) -> Iterator[Decoder]:
    """What decodes for a library, as its settings say; one that is given is left open."""
    settings = library.settings
    if given is not None:
        yield given
    elif settings.decoder == "threads":
        yield media
    else:
        from searchkit.media.isolate import DecoderPool

        memory_bytes = settings.decode_memory_mb << 20
        with DecoderPool(
            settings.jobs or None, timeout_s=settings.decode_timeout_s, max_memory_bytes=memory_bytes
        ) as pool:
            yield pool


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
                found = assets.ids_under(connection, absolute(path))
                if not found:
                    raise UsageError(
                        f"the library holds nothing at {path}", hint="`searchkit status` lists its folders"
                    )
                doomed.update(found)
        forget(writer, sorted(doomed))
        with library.catalog.write() as connection:
            assets.delete_empty_roots(connection)
        refresh_moments(writer)
    return len(doomed)


def make_scopes(
    library: Library, paths: Sequence[str | Path], exclude: Sequence[str], allow_empty: bool = False
) -> list[Scope]:
    """The paths as absolute text, without those that lie within others, each with its root.

    Args:
        library: whose roots they may lie in.
        paths: files and folders; empty means everything that was indexed before.
        exclude: patterns of files to pass over, besides the library's own.
        allow_empty: a folder without files means that its files were deleted, not that a disk is missing.

    Raises:
        UsageError: a path does not exist, or is one to be passed over; or nothing was indexed before.
    """
    exclude = (*library.settings.exclude, *exclude)
    with library.catalog.read() as connection:
        roots = [path for path, _ in assets.roots(connection)]
    if not paths and not roots:
        raise UsageError("there is nothing to index", hint="searchkit index FOLDER")
    chosen = [absolute(path) for path in paths] or roots
    scopes: list[Scope] = []
    for path in outermost(chosen):
        require(path)
        root = next((r for r in roots if lies_below(path, r)), path)
        rules = None if root == path or is_url(path) else make_rules(root, str(Path(path).parent), exclude)
        if rules is not None and passed_over(root, path, rules):
            raise UsageError(
                f"{path} is passed over: it is hidden, or a .searchkitignore or --exclude names it",
                hint=f"see the .searchkitignore files at and below {root}",
            )
        scopes.append(Scope(path, root, may_be_gone=allow_empty))
    return scopes

"""Turns a walk of folders into jobs of the catalog's queue, moves, and assets that are gone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from searchkit.catalog import assets, jobs
from searchkit.catalog.assets import KnownAsset, known_from
from searchkit.catalog.jobs import NewJob
from searchkit.errors import DecodeError, LibraryError, UsageError
from searchkit.indexer.plan import Move, Step, Verdict, compare, match_moves
from searchkit.indexer.progress import Progress
from searchkit.indexer.report import FileFailure, PlannedFile
from searchkit.indexer.scan import Found, Unreadable
from searchkit.indexer.source import hash_source, walk_source
from searchkit.library import Library

__all__ = ["Plan", "PlanOptions", "Scope", "plan_scopes"]

_WRITE_EVERY = 5000


@dataclass(frozen=True, slots=True)
class Scope:
    """A path to be brought in line, and the root whose ignore files hold there.

    Attributes:
        path: an absolute path, or a URL.
        root: the root at or above it.
        may_be_gone: nothing there means that it was deleted, not that a disk is missing.
    """

    path: str
    root: str
    may_be_gone: bool = False


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How to plan.

    Attributes:
        recipe: identity of the decoding settings.
        retry_failed: try files again that failed and did not change.
        exclude: patterns of files to pass over, as in a ``.searchkitignore`` at each root.
        dry_run: list what would be done, change nothing.
    """

    recipe: str
    retry_failed: bool = False
    exclude: Sequence[str] = ()
    dry_run: bool = False


@dataclass(slots=True)
class Plan:
    """What a walk came to; files to embed are in the catalog's queue, or in ``files`` of a dry run.

    Attributes:
        jobs: files to embed.
        same: files that are up to date.
        skipped: files that are known not to be media.
        failed: files that failed earlier and did not change.
        unreadable: what cannot be looked at, with what the catalog knows of it.
        moves: assets that lie elsewhere now.
        gone: assets whose file is no longer there.
        files: one for each file that something would be done with, in a dry run.
    """

    jobs: int = 0
    same: int = 0
    skipped: int = 0
    failed: list[FileFailure] = field(default_factory=list)
    unreadable: list[tuple[Unreadable, KnownAsset | None]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    gone: list[KnownAsset] = field(default_factory=list)
    files: list[PlannedFile] = field(default_factory=list)


def plan_scopes(
    library: Library,
    space_id: int,
    scopes: Sequence[Scope],
    options: PlanOptions,
    progress: Progress,
    stop: threading.Event,
) -> Plan:
    """Walk the scopes and plan; the queue is filled while the walk goes on.

    When ``stop`` is set on the way, the plan lists files to embed only: what was not seen may still be there.

    Raises:
        LibraryError: a folder that held indexed files is empty now.
        UsageError: a folder holds nothing at all, or a pattern is none.
    """
    planner = _Planner(library, space_id, options, progress, stop)
    for scope in scopes:
        planner.walk(scope)
    planner.finish()
    return planner.plan


class _Planner:
    def __init__(
        self,
        library: Library,
        space_id: int,
        options: PlanOptions,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self.plan = Plan()
        self._library = library
        self._space_id = space_id
        self._options = options
        self._progress = progress
        self._stop = stop
        self._waiting: list[NewJob] = []
        self._gone: dict[str, KnownAsset] = {}
        self._new: list[Found] = []

    def walk(self, scope: Scope) -> None:
        """Judge every file at or below a scope."""
        seen = walk_source(
            scope.path,
            root=scope.root,
            exclude=self._options.exclude,
            libraries=frozenset({str(self._library.folder)}),
        )
        on_disk = in_catalog = told = 0
        with self._library.catalog.read() as connection:
            known = assets.known_rows(connection, self._space_id, scope.path)
            for step in compare(
                seen, known, recipe=self._options.recipe, retry_failed=self._options.retry_failed
            ):
                on_disk += step.seen is not None
                in_catalog += step.known is not None
                self._take(step)
                if on_disk - told >= 1000:
                    self._progress.advance(on_disk - told)
                    told = on_disk
                    if self._stop.is_set():
                        break
        self._progress.advance(on_disk - told)
        if on_disk == 0 and not scope.may_be_gone:
            _refuse_empty(scope.path, in_catalog)

    def finish(self) -> None:
        """Write what is left to write, and see which files have only moved."""
        self._write()
        gone = [] if self._stop.is_set() else list(self._gone.values())
        if gone:
            gone = self._match_moves(gone)
        self.plan.gone = gone
        if self._options.dry_run:
            moved = {move.found.path for move in self.plan.moves}
            self.plan.files = [file for file in self.plan.files if file.path not in moved]
            self.plan.files += [
                PlannedFile("moved", move.found.path, move.known.path) for move in self.plan.moves
            ]
            self.plan.files += [PlannedFile("gone", asset.path) for asset in gone]

    def _take(self, step: Step) -> None:
        plan, verdict = self.plan, step.verdict
        if verdict is Verdict.SAME:
            plan.same += 1
        elif verdict is Verdict.SKIPPED:
            plan.skipped += 1
        elif verdict is Verdict.GONE:
            self._gone[step.known.path] = known_from(step.known)
        elif isinstance(step.seen, Unreadable):
            # A folder's own row comes before its content, and so before it is known to be closed.
            row = step.known if step.known is not None else None
            known = known_from(row) if row is not None else self._gone.pop(step.seen.path, None)
            if verdict is Verdict.FAILED or (known is not None and known.error == step.seen.reason):
                plan.failed.append(FileFailure(step.seen.path, step.seen.reason))
            else:
                plan.unreadable.append((step.seen, known))
        elif verdict is Verdict.FAILED:
            plan.failed.append(FileFailure(step.known.path, step.known.error or ""))
        elif step.seen is not None:
            self._enqueue(verdict, step.seen)

    def _enqueue(self, verdict: Verdict, found: Found) -> None:
        self.plan.jobs += 1
        if self._options.dry_run:
            self.plan.files.append(PlannedFile(verdict.value, found.path))
            if verdict is Verdict.NEW:
                self._new.append(found)
            return
        self._waiting.append(NewJob(found.path, found.size_bytes, found.mtime_ns))
        if len(self._waiting) >= _WRITE_EVERY:
            self._write()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            with self._library.catalog.write() as connection:
                jobs.enqueue(connection, self._space_id, waiting)

    def _match_moves(self, gone: list[KnownAsset]) -> list[KnownAsset]:
        """Only new files of a fitting size are read."""
        sizes = {asset.size_bytes for asset in gone if asset.content_hash is not None}
        if self._options.dry_run:
            candidates = [found for found in self._new if found.size_bytes in sizes]
        else:
            with self._library.catalog.read() as connection:
                waiting = jobs.new_jobs_of_size(connection, self._space_id, sizes)
            candidates = [Found(job.path, job.size_bytes, job.mtime_ns) for job in waiting]
        if not candidates:
            return gone
        self._progress.stage("hash", len(candidates))
        hashes: dict[str, str] = {}
        for entry in candidates:
            with contextlib.suppress(DecodeError):  # the decoder will say why it cannot be read
                hashes[entry.path] = hash_source(entry.path)
            self._progress.advance()
        self.plan.moves, gone, _ = match_moves(gone, candidates, hashes)
        self.plan.jobs -= len(self.plan.moves)
        return gone


def _refuse_empty(path: str, had: int) -> None:
    if had:
        raise LibraryError(
            f"{path} is empty, but {had} of its files are in the library; is a disk not mounted?",
            hint="mount it and run again, or, if they are really gone: "
            f"searchkit index '{path}' --allow-empty",
        )
    raise UsageError(f"{path} holds no files", hint="searchkit index FOLDER_WITH_MEDIA")

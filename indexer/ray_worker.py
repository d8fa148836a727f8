"""What runs on the nodes of a Ray cluster: one model that works through shares of the catalog's queue.

A share is only leave to take so many jobs. Which ones, and that nobody else has them, is for the queue to
say, so that a share may be lost with its node, or worked on twice by Ray's own retries, without harm.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchkit.catalog import Catalog, runs
from searchkit.config import Settings
from searchkit.errors import LibraryError, SearchkitError, SpaceMismatch
from searchkit.indexer.claims import Claims
from searchkit.indexer.decode import Decoder
from searchkit.indexer.pipeline import Pipeline
from searchkit.indexer.progress import NO_PROGRESS
from searchkit.indexer.record import Recorder
from searchkit.indexer.report import IndexReport
from searchkit.indexer.run import open_decoder
from searchkit.indexer.source import exists
from searchkit.indexer.writer import Writer
from searchkit.library import Library

__all__ = ["Assignment", "RayWorker", "owners_of"]

_LISTEN_S = 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all workers of a run are told.

    Attributes:
        settings: the library's, with the place of catalog and vectors.
        space: fingerprint of the space that is filled.
        space_id: its key in the catalog.
        recipe: identity of the decoding settings.
        run_id: the run, which the workers end with.
        roots: what every node must be able to see.
        cores: how many cores a worker has.
        share: jobs in a share.
    """

    settings: Settings
    space: str
    space_id: int
    recipe: str
    run_id: int
    roots: Sequence[str]
    cores: int
    share: int = 1


def owners_of(run_id: int) -> str:
    """How the names begin under which a run's workers take jobs."""
    return f"ray-{run_id}/"


class RayWorker:
    """Ray Data calls it with one share at a time; it opens library, model and decoders with the first.

    Args:
        assignment: what to do.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._opened: tuple[Library, Decoder] | None = None
        self._stack = contextlib.ExitStack()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Work on a share; the answer is a row of JSON: a report's counts and errors, or what went wrong."""
        node = _node()
        try:
            answer = self._work(node).to_dict()
        except SearchkitError as error:
            answer = {"failure": type(error).__name__, "message": str(error), "hint": error.hint}
        return {"share": batch["share"], "answer": [json.dumps({**answer, "node": node})]}

    def _open(self) -> tuple[Library, Decoder]:
        if self._opened is None:
            told = self._assignment
            for root in told.roots:
                if not exists(root):
                    raise LibraryError(
                        f"{root} is not there",
                        hint="mount it at the same place on every node, or index a URL",
                    )
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="searchkit-")))
            settings = replace(told.settings, jobs=told.settings.jobs or told.cores)
            catalog = Catalog.open(folder, settings.catalog)
            library = self._stack.enter_context(Library(folder, settings, catalog, read_only=False))
            if library.space.fingerprint != told.space:
                raise SpaceMismatch(
                    f"its model {settings.model!r} is not the one that the library is filled with",
                    hint="install the same versions of searchkit and of the model on every node",
                )
            self._opened = library, self._stack.enter_context(open_decoder(library))
        return self._opened

    def _work(self, node: str) -> IndexReport:
        told = self._assignment
        library, decoder = self._open()
        report, stop, done = IndexReport(), threading.Event(), threading.Event()
        listener = threading.Thread(target=self._listen, args=(library, stop, done), daemon=True)
        listener.start()
        try:
            with Writer(library) as writer:
                recorder = Recorder(writer, told.space_id, library.space, told.recipe)
                claims = Claims(
                    library.catalog,
                    told.space_id,
                    stop,
                    shared=True,
                    wait=False,
                    lease_s=library.settings.lease_s,
                    name=owners_of(told.run_id) + node,
                    limit=told.share,
                )
                recorder.owner = claims.owner
                with claims:
                    pipeline = Pipeline(library, decoder, recorder, report, NO_PROGRESS, stop)
                    pipeline.run_claims(claims, told.recipe)
        finally:
            done.set()
            listener.join()
        return report

    def _listen(self, library: Library, stop: threading.Event, done: threading.Event) -> None:
        """End the share after the batch in hand when the run has been ended by the one who began it."""
        while not stop.is_set():
            with contextlib.suppress(SearchkitError), library.catalog.read() as connection:
                if not runs.is_running(connection, self._assignment.run_id):
                    stop.set()
            if done.wait(_LISTEN_S):
                return


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())[:12]

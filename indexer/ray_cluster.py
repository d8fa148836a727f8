"""Embeds what waits in the catalog's queue on a Ray cluster, and watches over it from the machine that asked.

Ray Data places the workers (one model for each GPU, or for some cores) and starts new ones when a node goes;
who works on which file, and that no file is recorded twice, is the queue's business alone.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from searchkit import errors
from searchkit.catalog import jobs, runs, spaces
from searchkit.encoders import resolve_info
from searchkit.errors import DependencyMissing, LibraryError, SearchkitError, UsageError
from searchkit.indexer.progress import Progress
from searchkit.indexer.ray_worker import Assignment, RayWorker, owners_of
from searchkit.indexer.record import Recorder
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.library import Library

__all__ = ["Cluster", "RayOptions", "connect"]

_LOG = logging.getLogger(__name__)
_POLL_S = 1.0
_CONNECT_S = 10.0
_DEFAULT_CORES = 4
_VAIN_ROUNDS = 3
_SHARES_A_WORKER = 8
_SHARE = range(16, 2048)
_MOST_SHARES = 10_000


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Which cluster, and how it is used.

    Attributes:
        address: "auto" for the cluster that this machine is a node of, "local" for one that is started here
            and ends with the run, or HOST:PORT.
        cores: cores for each model; 0 for an even share of a GPU's node, or four without GPUs.
    """

    address: str
    cores: int = 0


@contextmanager
def connect(library: Library, options: RayOptions) -> Iterator[Cluster]:
    """A connection to a cluster for the time of the block.

    Raises:
        UsageError: the library is not on servers that every node can reach, or no node has so many cores.
        DependencyMissing: the extra ``ray`` is not installed.
        LibraryError: there is no cluster at that address.
    """
    if not library.is_shared:
        raise UsageError(
            "a Ray cluster needs the catalog on PostgreSQL and the vectors on a Qdrant server, which all its "
            f"nodes can reach; {library.folder} keeps its {_kept(library)} in files",
            hint="searchkit index FOLDER --library NEW --catalog postgresql://USER@HOST/DATABASE "
            f"--store qdrant://HOST:6333 --ray {options.address}",
        )
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise DependencyMissing(error.name or "ray", "ray") from error
    mine = not ray.is_initialized()
    if mine:
        _start(ray, options.address)
    try:
        yield Cluster(ray, library, options)
    finally:
        if mine:
            ray.shutdown()


def _start(ray: Any, address: str) -> None:
    # Nothing of a library's work is anybody else's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own = {"include_dashboard": False} if address == "local" else {}
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():
            # Ray itself would wait for ever for one that is not there.
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_CONNECT_S).close()
        ray.init(address, namespace="searchkit", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise LibraryError(
            f"there is no Ray cluster at {address!r}: {reason}",
            hint="start one (ray start --head), or use this machine alone: --ray local",
        ) from error


def _kept(library: Library) -> str:
    return "vectors" if library.catalog.is_shared else "catalog"


class Cluster:
    """A connected cluster; ``connect`` makes it.

    Args:
        ray: the module.
        library: what is filled.
        options: how the cluster is used.

    Raises:
        UsageError: no node has so many cores.
    """

    def __init__(self, ray: Any, library: Library, options: RayOptions) -> None:
        self._ray = ray
        self._library = library
        self._cores, self._gpus, self._workers = _places(ray, library, options)

    def embed(
        self,
        recorder: Recorder,
        run_id: int,
        roots: Sequence[str],
        report: IndexReport,
        progress: Progress,
        stop: threading.Event,
        *,
        wait: bool,
    ) -> None:
        """Have the cluster work until the queue is empty, or ``stop`` is set and what is in hand is done.

        Args:
            recorder: says which space is filled by which recipe; hears which collections may have changed.
            run_id: the run that the workers end with.
            roots: what every node must be able to see.
            report: counts what became of each file.
            progress: hears how many files are left.
            stop: set it to end the run.
            wait: go on while workers that are not of this run have jobs.

        Raises:
            LibraryError: a worker, or all of the cluster, cannot go on; what is recorded stays.
        """
        catalog, space_id = self._library.catalog, recorder.space_id
        told = Assignment(
            settings=self._library.settings,
            space=self._library.space.fingerprint,
            space_id=space_id,
            recipe=recorder.recipe,
            run_id=run_id,
            roots=roots,
            cores=self._cores,
        )
        vain = 0
        while not stop.is_set():
            with catalog.read() as connection:
                waiting = jobs.count_jobs(connection, space_id)
                free = jobs.count_jobs(connection, space_id, free=True)
            if not waiting or not (free or wait):
                break
            if free and vain == _VAIN_ROUNDS:
                raise LibraryError(
                    f"the workers die of {free} files that remain; all others are recorded",
                    hint="see why in Ray's logs (often want of memory): fewer workers with --ray-cores, "
                    "a smaller --batch-size, or leave the files out with --exclude",
                )
            if free:
                done = self._round(told, free, report, progress, stop)
                vain = 0 if done else vain + 1
            else:
                stop.wait(_POLL_S)
        with catalog.read() as connection:
            refs = spaces.collections_of(connection, space_id)
        recorder.writer.touched.update(ref.id for ref in refs)

    def _round(
        self,
        told: Assignment,
        waiting: int,
        report: IndexReport,
        progress: Progress,
        stop: threading.Event,
    ) -> int:
        """One share after the other to whichever worker is free, until all are answered; files that went."""
        share = waiting // (self._workers * _SHARES_A_WORKER)
        share = max(_SHARE.start, min(share, _SHARE.stop), -(-waiting // _MOST_SHARES))
        shares = -(-waiting // share)
        told = replace(told, share=share)
        answers = self._begin(told, shares)
        progress.stage("embed", waiting)
        counted = sum(report.counts()[name] for name in _FILES)
        asked, left, failure = False, waiting, None
        while (answer := _next(answers)) is not _ENDED:
            if isinstance(answer, BaseException):
                failure = failure or self._named(answer)
            elif answer is not None and "failure" in answer:
                failure = failure or _from_worker(answer)
            elif answer is not None:
                _add(report, answer, progress)
            if (stop.is_set() or failure is not None) and not asked:
                asked = True
                with self._library.catalog.write() as connection:
                    runs.ask_to_end(connection, told.run_id)
            with self._library.catalog.write() as connection:
                now = jobs.count_jobs(connection, told.space_id)
                runs.note_alive(connection, told.run_id)
            progress.advance(max(0, left - now), stage="embed")
            left = min(left, now)
        with self._library.catalog.write() as connection:
            # No share is being worked on any more: what its workers still hold, they died with.
            jobs.release_jobs_of(connection, told.space_id, owners_of(told.run_id))
            left = jobs.count_jobs(connection, told.space_id)
        done = sum(report.counts()[name] for name in _FILES) - counted
        report.uncounted += max(0, waiting - left - done)
        if failure is not None:
            raise failure
        return max(0, waiting - left)

    def _begin(self, told: Assignment, shares: int) -> queue.SimpleQueue[Any]:
        """Start the dataset; its answers come through a queue, then the end or what ended it."""
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        first = min(shares, self._workers)
        dataset = data.from_items(
            [{"share": number} for number in range(shares)], override_num_blocks=shares
        ).map_batches(
            RayWorker,
            fn_constructor_args=(told,),
            batch_size=1,
            num_cpus=self._cores,
            num_gpus=self._gpus or None,
            # From one worker upwards, so that a smaller cluster than there was goes on.
            compute=data.ActorPoolStrategy(
                min_size=1, initial_size=first, max_size=first, max_tasks_in_flight_per_actor=1
            ),
        )
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def collect() -> None:
            try:
                for row in dataset.iter_rows():
                    answers.put(json.loads(row["answer"]))
            except BaseException as error:
                answers.put(error)
            answers.put(_ENDED)

        threading.Thread(target=collect, name="ray-answers", daemon=True).start()
        _LOG.info("shares given out", extra={"shares": shares, "share": told.share, "workers": first})
        return answers

    def _named(self, error: BaseException) -> BaseException:
        exceptions = self._ray.exceptions
        if isinstance(error, exceptions.RayError) and not isinstance(error, exceptions.RayTaskError):
            return LibraryError(
                f"the Ray cluster gave up: {str(error).strip().splitlines()[0]}",
                hint="what is recorded stays; run the same command again to go on",
            )
        return error


_ENDED = object()
_FILES = ("new", "changed", "same", "failed", "skipped")


def _next(answers: queue.SimpleQueue[Any]) -> Any:
    try:
        return answers.get(timeout=_POLL_S)
    except queue.Empty:
        return None


def _add(report: IndexReport, answer: dict[str, Any], progress: Progress) -> None:
    for name in (*_FILES, "segments"):
        setattr(report, name, getattr(report, name) + answer[name])
    for error in answer["errors"]:
        report.errors.append(FileFailure(error["path"], error["reason"]))
        progress.failed(error["path"], error["reason"])
    for stage, spent in answer["stages"].items():
        report.stages.add(stage, spent["seconds"], int(spent["count"]))
    _LOG.info("share done", extra={"node": answer["node"], "segments": answer["segments"]})


def _from_worker(answer: dict[str, Any]) -> SearchkitError:
    kind = getattr(errors, answer["failure"], LibraryError)
    message = f"node {answer['node']}: {answer['message']}"
    try:
        made: SearchkitError = kind(message, hint=answer["hint"])
    except TypeError:  # some take more than a message
        made = LibraryError(message, hint=answer["hint"])
    return made


def _places(ray: Any, library: Library, options: RayOptions) -> tuple[int, int, int]:
    """Cores and GPUs of a worker, and how many workers there is room for."""
    uses_gpu = resolve_info(library.settings.model).uses_gpu
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    equipped = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
    with_gpu = [(cpus, gpus) for cpus, gpus in equipped if uses_gpu and gpus and cpus]
    if with_gpu:
        cores = options.cores or max(1, min(cpus // gpus for cpus, gpus in with_gpu))
        workers = sum(min(gpus, cpus // cores) for cpus, gpus in with_gpu)
    else:
        cores = options.cores or min([_DEFAULT_CORES, *(cpus for cpus, _ in equipped if cpus)])
        workers = sum(cpus // cores for cpus, _ in equipped)
    if not workers:
        most = max((cpus for cpus, _ in equipped), default=0)
        raise UsageError(
            f"no node of the cluster has {cores} cores for a model; the largest has {most}",
            hint=f"--ray-cores {max(1, most)}",
        )
    return cores, int(bool(with_gpu)), workers

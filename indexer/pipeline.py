"""From files to recorded vectors: decoders run ahead, samples of one modality are encoded together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import TypeAlias

from searchkit.errors import EncoderError
from searchkit.indexer.decode import Failed, Finished, Job, Opened, Piece, Skipped, Unchanged, decode_files
from searchkit.indexer.progress import Progress
from searchkit.indexer.record import Embedded, FileWork, Recorder
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.library import Library
from searchkit.types import FloatArray, Modality

__all__ = ["Pipeline"]

_RECORD_EVERY = 256
_RECORD_AFTER_S = 2.0

_Waiting: TypeAlias = tuple[FileWork, Piece]


class Pipeline:
    """One run's files on their way; everything but decoding happens on the caller's thread.

    Args:
        library: gives the encoder and the decoding settings.
        recorder: writes what was embedded.
        report: counts what became of each file.
        progress: hears of each file.
        stop: set it to end after the batch in hand.
    """

    def __init__(
        self,
        library: Library,
        recorder: Recorder,
        report: IndexReport,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self._library = library
        self._encoder = library.encoder
        self._batch_size = library.settings.batch_size
        self._recorder = recorder
        self._report = report
        self._progress = progress
        self._stop = stop
        self._works: dict[int, FileWork] = {}
        self._waiting: dict[Modality, list[_Waiting]] = {}
        self._embedded: list[Embedded] = []
        self._finished: list[FileWork] = []
        self._recorded_at = time.monotonic()

    def run(self, jobs: Sequence[Job]) -> None:
        """Bring all jobs to an end: READY, FAILED, SKIPPED or unchanged.

        Raises:
            DiskFull: no space is left; what was recorded stays.
        """
        if not jobs:
            return
        self._progress.stage("embed", len(jobs))
        events = decode_files(jobs, self._library.decode_settings, threads=self._library.settings.jobs)
        with contextlib.closing(events):
            for event in events:
                match event:
                    case Opened():
                        self._works[id(event.job)] = FileWork(event.job, event)
                    case Piece():
                        self._take(event)
                    case Finished():
                        self._works[id(event.job)].decoded = True
                        self._settle(self._works[id(event.job)])
                    case Failed():
                        self._fail(event.job, event.reason)
                    case Skipped():
                        self._recorder.skip(event.job)
                        self._report.skipped += 1
                        self._progress.advance()
                    case Unchanged():
                        self._recorder.touch(event.job)
                        self._report.same += 1
                        self._progress.advance()
                due = time.monotonic() - self._recorded_at > _RECORD_AFTER_S
                if len(self._embedded) >= _RECORD_EVERY or (due and self._finished):
                    self._record()
                if self._stop.is_set():
                    self._report.interrupted = True
                    break
        if not self._report.interrupted:
            for modality in list(self._waiting):
                self._encode(modality)
        self._record()

    def _take(self, piece: Piece) -> None:
        work = self._works.get(id(piece.job))
        if work is None:
            return
        modality = piece.sample.modality
        if modality not in self._encoder.modalities:
            self._fail(piece.job, f"the model {self._library.settings.model!r} cannot embed {modality.value}")
            return
        work.encoding += 1
        waiting = self._waiting.setdefault(modality, [])
        waiting.append((work, piece))
        if len(waiting) >= self._batch_size:
            self._encode(modality)

    def _encode(self, modality: Modality) -> None:
        batch = [entry for entry in self._waiting.pop(modality, []) if entry[0].failure is None]
        if not batch:
            return
        try:
            vectors = self._encoder.encode([piece.sample for _, piece in batch])
        except EncoderError:
            self._encode_one_by_one(batch)
            return
        self._keep(batch, vectors)

    def _encode_one_by_one(self, batch: list[_Waiting]) -> None:
        """One sample that cannot be embedded must not take its neighbours with it."""
        for work, piece in batch:
            if work.failure is not None:
                continue
            try:
                vectors = self._encoder.encode([piece.sample])
            except EncoderError as error:
                self._fail(piece.job, str(error))
            else:
                self._keep([(work, piece)], vectors)

    def _keep(self, batch: list[_Waiting], vectors: FloatArray) -> None:
        for (work, piece), vector in zip(batch, vectors, strict=True):
            self._embedded.append(Embedded(work, piece.ordinal, piece.sample, vector))
            work.encoding -= 1
            self._settle(work)

    def _settle(self, work: FileWork) -> None:
        if work.failure is None and work.decoded and work.encoding == 0:
            self._finished.append(work)

    def _fail(self, job: Job, reason: str) -> None:
        work = self._works.pop(id(job), None)
        if work is not None and work.failure is not None:
            return
        asset_id = None
        if work is not None:
            work.failure = reason
            asset_id = work.asset_id
            self._embedded = [piece for piece in self._embedded if piece.work is not work]
        self._recorder.fail(job, asset_id, reason)
        self._report.failed += 1
        self._report.errors.append(FileFailure(job.found.path, reason))
        self._progress.failed(job.found.path, reason)
        self._progress.advance()

    def _record(self) -> None:
        self._recorded_at = time.monotonic()
        if not self._embedded and not self._finished:
            return
        embedded, finished = self._embedded, self._finished
        self._embedded, self._finished = [], []
        self._recorder.write(embedded, finished)
        self._report.segments += len(embedded)
        for work in finished:
            if work.job.is_new:
                self._report.new += 1
            else:
                self._report.changed += 1
            self._works.pop(id(work.job), None)
            self._progress.advance()

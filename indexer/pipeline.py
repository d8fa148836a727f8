"""From files to recorded vectors: decoders run ahead, samples of one modality are encoded together.

Decoding has its threads and processes, encoding its thread; this thread sorts samples into batches and
records what came back, so that each waits for the others only when it is ahead.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

from searchkit.indexer.claims import Claims
from searchkit.indexer.decode import (
    Decoder,
    Event,
    Failed,
    Finished,
    Job,
    Opened,
    Piece,
    Skipped,
    Unchanged,
    decode_files,
    to_job,
)
from searchkit.indexer.encoding import EncoderThread
from searchkit.indexer.progress import Progress
from searchkit.indexer.record import Embedded, FileWork, Outcome, Recorder
from searchkit.indexer.report import FileFailure, IndexReport
from searchkit.library import Library
from searchkit.types import AudioSample, Modality, TextSample

__all__ = ["Pipeline"]

_LOG = logging.getLogger(__name__)
_RECORD_EVERY = 256
_RECORD_AFTER_S = 2.0
# How often a file may be taken by workers that die of it before it is given up.
_MOST_ATTEMPTS = 2
_DEADLY = "the program died twice while it worked on this file; `searchkit index --retry-failed` tries again"
# Batches' worth of samples that are sorted by length before they are cut into batches.
_SORTED_BATCHES = 4

_Waiting: TypeAlias = tuple[FileWork, Piece]


class Pipeline:
    """One run's files on their way.

    Args:
        library: gives the encoder and the settings.
        decoder: turns files into samples.
        recorder: writes what became of them.
        report: counts what became of each file.
        progress: hears of each file.
        stop: set it to end after the batch in hand.
    """

    def __init__(
        self,
        library: Library,
        decoder: Decoder,
        recorder: Recorder,
        report: IndexReport,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self._library = library
        self._encodable = library.encoder.modalities
        self._batch_size = library.settings.batch_size
        self._decoder = decoder
        self._recorder = recorder
        self._report = report
        self._progress = progress
        self._stop = stop
        self._works: dict[int, FileWork] = {}
        self._waiting: dict[Modality, list[_Waiting]] = {}
        self._embedded: list[Embedded] = []
        self._finished: list[FileWork] = []
        self._outcomes: list[Outcome] = []
        self._recorded_at = time.monotonic()

    def run_claims(self, claims: Claims, recipe: str) -> None:
        """Bring all jobs of the catalog's queue to an end.

        A job that a worker had when it died goes alone, so that a file which crashes the model is told from
        its neighbours; one that did so twice is given up.

        Raises:
            DiskFull: no space is left; what was recorded stays.
            EncoderError: the model fails on everything.
        """
        while True:
            self.run(to_job(claimed, recipe) for claimed in claims)
            for claimed in claims.tried():
                job = to_job(claimed, recipe)
                if claimed.attempts > _MOST_ATTEMPTS:
                    self._progress.advance(stage="decode")
                    self._end(Failed(job, _DEADLY))
                    self._record()
                else:
                    self.run(iter([job]))
            if not claims.more():
                return

    def run(self, jobs: Iterator[Job]) -> None:
        """Bring all jobs to an end: READY, FAILED, SKIPPED or unchanged.

        Raises:
            DiskFull: no space is left; what was recorded stays.
            EncoderError: the model fails on everything.
        """
        settings = self._library.settings
        decoding = decode_files(jobs, self._library.decode_settings, self._decoder, threads=settings.jobs)
        with (
            EncoderThread(self._library.encoder, self._report.stages) as encoding,
            contextlib.closing(decoding) as events,
        ):
            for event in events:
                if event is not None:
                    self._take(event, encoding)
                self._collect(encoding)
                self._record_when_due()
                if self._stop.is_set():
                    self._report.interrupted = True
                    break
            if not self._report.interrupted:
                for modality in list(self._waiting):
                    self._cut(modality, encoding)
            self._collect(encoding, everything=True)
        if self._report.interrupted:
            # Of files that did not get through nothing is kept.
            whole = set(self._finished)
            self._embedded = [piece for piece in self._embedded if piece.work in whole]
        self._record()

    def _take(self, event: Event, encoding: EncoderThread) -> None:
        match event:
            case Opened():
                self._works[event.job.id] = FileWork(event.job, event, event.job.asset_id)
            case Piece():
                self._take_piece(event, encoding)
            case Finished():
                self._report.stages.add("decode", event.seconds, 1)
                self._progress.advance(stage="decode")
                work = self._works.get(event.job.id)
                if work is not None:
                    work.decoded = True
                    self._settle(work)
            case Failed() | Skipped() | Unchanged():
                self._progress.advance(stage="decode")
                self._end(event)

    def _take_piece(self, piece: Piece, encoding: EncoderThread) -> None:
        work = self._works.get(piece.job.id)
        if work is None:
            return
        modality = piece.sample.modality
        if modality not in self._encodable:
            model = self._library.settings.model
            self._end(Failed(piece.job, f"the model {model!r} cannot embed {modality.value}"))
            return
        work.encoding += 1
        waiting = self._waiting.setdefault(modality, [])
        waiting.append((work, piece))
        sortable = modality in (Modality.TEXT, Modality.AUDIO)
        if len(waiting) >= self._batch_size * (_SORTED_BATCHES if sortable else 1):
            self._cut(modality, encoding)

    def _cut(self, modality: Modality, encoding: EncoderThread) -> None:
        """Cut what waits into batches of like length, since an encoder pads to the longest."""
        waiting = self._waiting.pop(modality, [])
        waiting.sort(key=_length)
        for start in range(0, len(waiting), self._batch_size):
            encoding.submit(waiting[start : start + self._batch_size])
            self._collect(encoding)

    def _collect(self, encoding: EncoderThread, *, everything: bool = False) -> None:
        for encoded in encoding.done(everything=everything):
            for work, reason in encoded.refused:
                self._end(Failed(work.job, reason))
            for embedded in encoded.embedded:
                if embedded.work.failure is None:
                    self._embedded.append(embedded)
                    embedded.work.encoding -= 1
                    self._settle(embedded.work)

    def _settle(self, work: FileWork) -> None:
        if work.failure is None and work.decoded and work.encoding == 0:
            self._works.pop(work.job.id, None)
            self._finished.append(work)
            self._progress.advance(stage="embed")

    def _end(self, outcome: Outcome) -> None:
        """Note a file that ends without vectors of its own."""
        work = self._works.pop(outcome.job.id, None)
        if isinstance(outcome, Failed):
            if work is not None:
                work.failure = outcome.reason
                self._embedded = [piece for piece in self._embedded if piece.work is not work]
            self._progress.failed(outcome.job.found.path, outcome.reason)
            _LOG.warning("failed", extra={"path": outcome.job.found.path, "reason": outcome.reason})
        self._outcomes.append(outcome)
        self._progress.advance(stage="embed")

    def _record_when_due(self) -> None:
        ended = len(self._finished) + len(self._outcomes)
        late = ended and time.monotonic() - self._recorded_at > _RECORD_AFTER_S
        if len(self._embedded) >= _RECORD_EVERY or ended >= _RECORD_EVERY or late:
            self._record()

    def _record(self) -> None:
        self._recorded_at = time.monotonic()
        embedded, self._embedded = self._embedded, []
        finished, self._finished = self._finished, []
        outcomes, self._outcomes = self._outcomes, []
        if not (embedded or finished or outcomes):
            return
        recorded = self._recorder.write(embedded, finished, outcomes)
        report = self._report
        report.segments += len(embedded)
        for work in finished:
            if work.job.id in recorded:
                report.new += work.job.is_new
                report.changed += not work.job.is_new
        for outcome in outcomes:
            if outcome.job.id not in recorded:
                continue
            if isinstance(outcome, Failed):
                report.failed += 1
                report.errors.append(FileFailure(outcome.job.found.path, outcome.reason))
            else:
                report.skipped += isinstance(outcome, Skipped)
                report.same += isinstance(outcome, Unchanged)
        seconds = time.monotonic() - self._recorded_at
        report.stages.add("record", seconds, len(embedded))
        _LOG.info(
            "recorded",
            extra={
                "segments": len(embedded),
                "files": len(finished) + len(outcomes),
                "seconds": round(seconds, 4),
            },
        )


def _length(waiting: _Waiting) -> int:
    sample = waiting[1].sample
    if isinstance(sample, AudioSample):
        return len(sample.waveform)
    return len(sample.text) if isinstance(sample, TextSample) else 0

"""Encodes batches on a thread of its own, so that the encoder never waits for a database or a disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from searchkit.errors import EncoderError
from searchkit.indexer.decode import Piece
from searchkit.indexer.record import Embedded, FileWork
from searchkit.indexer.report import StageTimes
from searchkit.stores.base import as_rows
from searchkit.types import Encoder

__all__ = ["Encoded", "EncoderThread"]

_AHEAD = 2
# So many samples refused one after the other are no longer the samples' fault.
_MOST_VAIN = 100


@dataclass(slots=True)
class Encoded:
    """What became of a batch.

    Attributes:
        embedded: samples with their vectors.
        refused: samples that the encoder cannot embed, and why.
    """

    embedded: list[Embedded] = field(default_factory=list)
    refused: list[tuple[FileWork, str]] = field(default_factory=list)


class EncoderThread:
    """Takes batches and gives their vectors back, in order; one batch waits while another is encoded.

    Args:
        encoder: what encodes; used by one thread only.
        times: where the stage "encode" is counted.
    """

    def __init__(self, encoder: Encoder, times: StageTimes) -> None:
        self._encoder = encoder
        self._times = times
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._pending: deque[Future[Encoded]] = deque()
        self._vain = 0

    def submit(self, batch: Sequence[tuple[FileWork, Piece]]) -> None:
        """Add a batch."""
        self._pending.append(self._thread.submit(self._encode, list(batch)))

    def done(self, *, everything: bool = False) -> Iterator[Encoded]:
        """Batches that are done; waits for the oldest while more than two are on their way, or for all."""
        while self._pending and (everything or len(self._pending) > _AHEAD or self._pending[0].done()):
            yield self._pending.popleft().result()

    def _encode(self, batch: list[tuple[FileWork, Piece]]) -> Encoded:
        batch = [entry for entry in batch if entry[0].failure is None]
        started_s = time.perf_counter()
        answer = Encoded()
        if batch:
            self._halve(batch, answer)
        self._times.add("encode", time.perf_counter() - started_s, len(batch))
        return answer

    def _halve(self, batch: list[tuple[FileWork, Piece]], answer: Encoded) -> None:
        """Encode a batch, or, where that fails, each half of it: a bad sample goes without its neighbours."""
        try:
            vectors = self._encoder.encode([piece.sample for _, piece in batch])
            rows = as_rows(vectors, self._encoder.space.dim, len(batch))
        except Exception as error:  # an encoder may be anybody's
            if len(batch) == 1:
                self._refuse(batch[0][0], error, answer)
                return
            middle = len(batch) // 2
            self._halve(batch[:middle], answer)
            self._halve(batch[middle:], answer)
            return
        self._vain = 0
        answer.embedded.extend(
            Embedded(work, piece.ordinal, piece.sample, row)
            for (work, piece), row in zip(batch, rows, strict=True)
        )

    def _refuse(self, work: FileWork, error: Exception, answer: Encoded) -> None:
        if isinstance(error, EncoderError):
            answer.refused.append((work, str(error)))
            return
        reason = (
            "there is not enough memory to embed it"
            if isinstance(error, MemoryError)
            else f"the model failed ({type(error).__name__}: {error})"
        )
        self._vain += 1
        if self._vain >= _MOST_VAIN:
            raise EncoderError(
                f"the model fails on everything, last on {work.job.found.path}: {reason}",
                hint="when it works again: searchkit index --retry-failed",
            ) from error
        answer.refused.append((work, reason))

    def __enter__(self) -> EncoderThread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

"""An endless stream of decoded pairs in seeded order, which goes on exactly where it was left.

What cannot be decoded is skipped and counted, and the next pair takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchkit.errors import DecodeError, UsageError
from searchkit.training.pretrain.pairs import Pair, PairSet
from searchkit.training.pretrain.samples import Sample, SampleReader

__all__ = ["PairStream", "Position", "StreamBatch"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream is: the epoch, from 0, and how many of its pairs were taken or skipped."""

    epoch: int = 0
    taken: int = 0


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """Samples, and the position behind them."""

    samples: tuple[Sample, ...]
    position: Position


class PairStream:
    """One rank's share of the pairs.

    Args:
        pairs: what there is; entries that were no pair count as skipped.
        reader: decodes them.
        batch_size: samples a batch, of this rank.
        seed: decides order, choice of captions and augmentation, together with epoch and pair.
        rank: this process's number.
        ranks: how many processes share the pairs.
        workers: threads that decode ahead; 0 decodes when asked. The samples are the same.
        position: where to start.
    """

    def __init__(
        self,
        pairs: PairSet,
        reader: SampleReader,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        position: Position = Position(),
    ) -> None:
        if len(pairs.pairs) < ranks:
            raise UsageError(f"{len(pairs.pairs)} pairs cannot be shared by {ranks} processes")
        self.pairs = pairs.pairs
        self.reader = reader
        self.batch_size = batch_size
        self.seed, self.rank, self.ranks = seed, rank, ranks
        self.position = position
        self.entries_skipped = len(pairs.skipped)
        self.skipped: dict[str, str] = dict(pairs.skipped)
        self._ahead = position
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._next: Future[StreamBatch] | None = None
        self._order: tuple[int, list[int]] = (-1, [])

    def next_batch(self) -> StreamBatch:
        """The next samples; `position` is then the one behind them.

        Raises:
            UsageError: a whole epoch held nothing that can be decoded.
        """
        if self._pool is None:
            batch = self._read_batch()
        else:
            batch = (self._next or self._pool.submit(self._read_batch)).result()
            self._next = self._pool.submit(self._read_batch)
        self.position = batch.position
        return batch

    def close(self) -> None:
        """Stop decoding ahead."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"epoch": self.position.epoch, "taken": self.position.taken, "skipped": dict(self.skipped)}

    @staticmethod
    def position_of(state: Mapping[str, Any]) -> Position:
        """The position in what `state` gave."""
        return Position(int(state["epoch"]), int(state["taken"]))

    def _read_batch(self) -> StreamBatch:
        samples: list[Sample] = []
        failed = 0
        for number, position in self._places():
            pair = self.pairs[number]
            sample = self._try(pair, number, position.epoch)
            failed = failed + 1 if sample is None else 0
            if failed >= len(self.pairs):
                raise UsageError(f"none of {failed} pairs could be read: {self.skipped[pair.key]}")
            if sample is not None:
                samples.append(sample)
            self._ahead = position
            if len(samples) == self.batch_size:
                break
        return StreamBatch(tuple(samples), self._ahead)

    def _try(self, pair: Pair, number: int, epoch: int) -> Sample | None:
        try:
            return self.reader.read(pair, np.random.default_rng((self.seed, epoch, number)))
        except DecodeError as error:
            self.skipped[pair.key] = error.reason
            return None

    def _places(self) -> Iterator[tuple[int, Position]]:
        """Numbers of pairs from `_ahead` on, without end, each with the position behind it."""
        epoch, taken = self._ahead.epoch, self._ahead.taken
        while True:
            order = self._epoch_order(epoch)
            while taken < len(order):
                taken += 1
                yield order[taken - 1], Position(epoch, taken)
            epoch, taken = epoch + 1, 0

    def _epoch_order(self, epoch: int) -> list[int]:
        if self._order[0] != epoch:
            shuffled = np.random.default_rng((self.seed, epoch)).permutation(len(self.pairs))
            self._order = (epoch, shuffled[self.rank :: self.ranks].tolist())
        return self._order[1]

"""An encoder for many threads at once: what is asked while it works is encoded together next.

Vectors of samples that were asked before come from memory. It knows no HTTP and no library.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from searchkit.errors import UsageError
from searchkit.types import ArraySample, Encoder, FloatArray, ImageSample, Modality, Sample, Space, TextSample

__all__ = ["BatchingEncoder"]


@dataclass(slots=True)
class _Request:
    keys: list[bytes]
    samples: list[Sample]
    rows: Future[list[FloatArray]] = field(default_factory=Future)


class BatchingEncoder:
    """An encoder that gathers the samples of concurrent callers into one call of another.

    There is no waiting for company: a lone request goes at once, and what arrives while it is encoded makes
    the next batch.

    Args:
        encoder: does the work, always on one thread.
        max_samples: how many samples go into one call, unless one request alone has more.
        cache_rows: how many vectors are remembered.
        on_batch: hears of each call: how many requests, how many samples.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        max_samples: int = 64,
        cache_rows: int = 8192,
        on_batch: Callable[[int, int], None] = lambda requests, samples: None,
    ) -> None:
        self._encoder = encoder
        self._max_samples = max_samples
        self._cache_rows = cache_rows
        self._on_batch = on_batch
        self._cache: OrderedDict[bytes, FloatArray] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting: queue.Queue[_Request | None] = queue.Queue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batching-encoder", daemon=True)
        self._thread.start()

    @property
    def space(self) -> Space:
        """The space that the vectors live in."""
        return self._encoder.space

    @property
    def modalities(self) -> frozenset[Modality]:
        """What it can embed."""
        return self._encoder.modalities

    @property
    def audio_rate_hz(self) -> int:
        """The sample rate that sounds must have."""
        return self._encoder.audio_rate_hz

    @property
    def waiting(self) -> int:
        """How many requests wait for the encoder, those in work not among them."""
        return self._waiting.qsize()

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """As ``Encoder.encode``: (N, dim) unit rows; callable from many threads.

        Raises:
            EncoderError: as the encoder behind it.
            UsageError: it is closed.
        """
        if self._closed:
            raise UsageError("the encoder is closed")
        keys = [_key(sample) for sample in samples]
        known: dict[bytes, FloatArray] = {}
        with self._lock:
            for key in keys:
                if key in self._cache:
                    self._cache.move_to_end(key)
                    known[key] = self._cache[key]
        missing = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in known}
        if missing:
            request = _Request(list(missing), list(missing.values()))
            self._waiting.put(request)
            known.update(zip(missing, request.rows.result(), strict=True))
        rows = [known[key] for key in keys]
        return np.stack(rows) if rows else np.zeros((0, self.space.dim), np.float32)

    def close(self) -> None:
        """Finish what was asked, then close the encoder behind it; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
            self._thread.join()
            self._encoder.close()

    def _work(self) -> None:
        held: _Request | None = None
        while True:
            first = held if held is not None else self._waiting.get()
            held = None
            if first is None:
                self._refuse_rest()
                return
            batch, size = [first], len(first.samples)
            while size < self._max_samples:
                try:
                    request = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if request is None:
                    self._waiting.put(None)
                    break
                if size + len(request.samples) > self._max_samples:
                    held = request
                    break
                batch.append(request)
                size += len(request.samples)
            self._encode(batch)

    def _refuse_rest(self) -> None:
        while not self._waiting.empty():
            request = self._waiting.get()
            if request is not None:
                request.rows.set_exception(UsageError("the encoder is closed"))

    def _encode(self, batch: list[_Request]) -> None:
        # Two callers may ask for the same thing in the same moment.
        wanted = {
            key: sample
            for request in batch
            for key, sample in zip(request.keys, request.samples, strict=True)
        }
        try:
            rows = self._encoder.encode(list(wanted.values()))
        except Exception as error:
            if len(batch) == 1:
                batch[0].rows.set_exception(error)
                return
            # One bad sample must not fail the requests that came with it.
            for request in batch:
                self._encode([request])
            return
        self._on_batch(len(batch), len(wanted))
        by_key = {key: np.array(row) for key, row in zip(wanted, rows, strict=True)}
        with self._lock:
            self._cache.update(by_key)
            while len(self._cache) > self._cache_rows:
                self._cache.popitem(last=False)
        for request in batch:
            request.rows.set_result([by_key[key] for key in request.keys])


def _key(sample: Sample) -> bytes:
    digest = hashlib.blake2b(sample.modality.value.encode(), digest_size=16)
    if isinstance(sample, TextSample):
        digest.update(sample.text.encode("utf-8", "surrogatepass"))
    elif isinstance(sample, ImageSample):
        digest.update(repr(sample.pixels.shape).encode())
        digest.update(np.ascontiguousarray(sample.pixels).data)
    elif isinstance(sample, ArraySample):
        digest.update(repr(sample.values.shape).encode())
        digest.update(np.ascontiguousarray(sample.values).data)
    else:
        digest.update(str(sample.rate_hz).encode())
        digest.update(np.ascontiguousarray(sample.waveform).data)
    return digest.digest()

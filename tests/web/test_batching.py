"""The encoder for many threads: same vectors, fewer calls, one bad sample fails alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from searchkit.encoders import open_encoder
from searchkit.errors import EncoderError, UsageError
from searchkit.types import Encoder, FloatArray, Modality, Sample, Space, TextSample
from searchkit.web.batching import BatchingEncoder
from tests.web.conftest import PATIENCE_S, wait_until


class Gate:
    """The real encoder, held back until the gate opens."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.gate = threading.Event()
        self.reached = threading.Event()

    @property
    def space(self) -> Space:
        return self._encoder.space

    @property
    def modalities(self) -> frozenset[Modality]:
        return self._encoder.modalities

    @property
    def audio_rate_hz(self) -> int:
        return self._encoder.audio_rate_hz

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        self.reached.set()
        assert self.gate.wait(PATIENCE_S)
        if any(isinstance(sample, TextSample) and sample.text == "bad" for sample in samples):
            raise EncoderError("cannot embed that")
        return self._encoder.encode(samples)

    def close(self) -> None:
        self._encoder.close()


def wait_for(batching: BatchingEncoder, requests: int) -> None:
    """Until so many requests wait behind the one that is being encoded."""
    wait_until(lambda: batching.waiting >= requests, f"{requests} requests")


def test_requests_that_wait_are_encoded_together_and_get_their_own_vectors() -> None:
    with contextlib.closing(open_encoder("mini")) as encoder:
        gate = Gate(encoder)
        batches: list[tuple[int, int]] = []
        batching = BatchingEncoder(
            gate, on_batch=lambda requests, samples: batches.append((requests, samples))
        )
        words = [f"a picture of {number} dogs" for number in range(12)]
        expected = encoder.encode([TextSample(text) for text in words])
        with ThreadPoolExecutor(12) as pool:
            rows = [pool.submit(batching.encode, [TextSample(words[0])])]
            assert gate.reached.wait(PATIENCE_S)
            rows += [pool.submit(batching.encode, [TextSample(text)]) for text in words[1:]]
            wait_for(batching, 11)
            gate.gate.set()
            np.testing.assert_allclose(np.concatenate([row.result() for row in rows]), expected, atol=1e-5)
        assert sorted(batches) == [(1, 1), (11, 11)]
        batching.encode([TextSample(words[0])])
        assert len(batches) == 2
        batching.close()


def test_one_bad_sample_fails_alone() -> None:
    with contextlib.closing(open_encoder("mini")) as encoder:
        gate = Gate(encoder)
        batching = BatchingEncoder(gate)
        with ThreadPoolExecutor(4) as pool:
            pool.submit(batching.encode, [TextSample("first")])
            assert gate.reached.wait(PATIENCE_S)
            rows = {
                word: pool.submit(batching.encode, [TextSample(word)]) for word in ("good", "bad", "fine")
            }
            wait_for(batching, 3)
            gate.gate.set()
            with pytest.raises(EncoderError, match="cannot embed that"):
                rows["bad"].result()
            assert rows["good"].result().shape == rows["fine"].result().shape == (1, encoder.space.dim)
        batching.close()
        with pytest.raises(UsageError):
            batching.encode([TextSample("late")])

"""Indexes with a model that fails on texts which say how: "raises", "memory", "nan", "aborts".

Usage: failing.py LIBRARY FOLDER [--retry-failed]
"""

from __future__ import annotations

import os
import sys
import types
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import searchkit as sk
from searchkit.encoders import spec
from searchkit.types import FloatArray, Modality, Sample, Space, TextSample

DIM = 32


class FailingEncoder:
    """Vectors follow from the text; the process is gone, or an exception comes, where a text says so."""

    space = Space("failing", "1", "none", DIM)
    modalities = frozenset({Modality.TEXT})
    audio_rate_hz = 16_000
    broken = False

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        rows = np.empty((len(samples), DIM), np.float32)
        for row, sample in zip(rows, samples, strict=True):
            assert isinstance(sample, TextSample)
            if "aborts" in sample.text:
                os.abort()
            if "raises" in sample.text or self.broken:
                raise RuntimeError("a bad kernel")
            if "memory" in sample.text:
                raise MemoryError
            row[:] = np.random.default_rng(zlib.crc32(sample.text.encode())).standard_normal(DIM)
            row /= np.linalg.norm(row)
            if "nan" in sample.text:
                row[3] = np.nan
        return rows

    def close(self) -> None:
        pass


def install() -> FailingEncoder:
    """Put the model into the table of encoders, as ``failing``."""
    encoder = FailingEncoder()
    module = types.ModuleType("failing_encoder")
    module.load = lambda folder=None: encoder  # type: ignore[attr-defined]
    sys.modules["failing_encoder"] = module
    info = spec.EncoderInfo("failing", "failing_encoder", encoder.modalities, DIM, "none", "fails")
    spec.ENCODERS = {**spec.ENCODERS, "failing": info}
    return encoder


if __name__ == "__main__":
    install()
    os.environ["SEARCHKIT_DECODER"] = "threads"
    with sk.open_library(Path(sys.argv[1]), model="failing") as library:
        report = library.index(sys.argv[2], retry_failed="--retry-failed" in sys.argv)
    print(report.new, report.same, report.failed)

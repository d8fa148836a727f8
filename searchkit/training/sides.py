"""Vectors of the sides of pairs: each side is opened and embedded once, and what fails is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchkit.errors import DecodeError, EncoderError, QueryError
from searchkit.training.pairs import Load, Side, reason_of, side_samples
from searchkit.types import Encoder, FloatArray

__all__ = ["embed_sides"]

_AT_ONCE = 16


def embed_sides(
    sides: Sequence[Side],
    encoder: Encoder,
    load: Load,
    *,
    fetch: Callable[[int], FloatArray] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[dict[Side, FloatArray], dict[Side, str]]:
    """Embed sides; a file's windows, frames or passages average.

    Args:
        sides: what to embed.
        encoder: how.
        load: path and modality to samples.
        fetch: the stored vector of a library's segment.
        progress: told the step, how much of it is done, and how much there is.

    Returns:
        Unit vectors (dim,) by side, and why the others have none.
    """
    rows: dict[Side, FloatArray] = {}
    failed: dict[Side, str] = {}
    for start in range(0, len(sides), _AT_ONCE):
        opened = {}
        for side in sides[start : start + _AT_ONCE]:
            try:
                if side.segment_id is not None and fetch is not None:
                    rows[side] = fetch(side.segment_id)
                else:
                    opened[side] = side_samples(side, load)
            except (DecodeError, QueryError, EncoderError) as error:
                failed[side] = reason_of(error)
        flat = [sample for samples in opened.values() for sample in samples]
        try:
            vectors = iter(encoder.encode(flat)) if flat else iter(())
            rows |= {side: _mean([next(vectors) for _ in samples]) for side, samples in opened.items()}
        except EncoderError:
            # One that cannot be embedded must not take its neighbours with it.
            for side, samples in opened.items():
                try:
                    rows[side] = _mean(list(encoder.encode(samples)))
                except EncoderError as error:
                    failed[side] = reason_of(error)
        if progress is not None:
            progress("embedding", min(start + _AT_ONCE, len(sides)), len(sides))
    return rows, failed


def _mean(rows: Sequence[FloatArray]) -> FloatArray:
    if len(rows) == 1:
        return rows[0]
    mean = np.mean(rows, axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise EncoderError("its parts cancel out")
    return np.asarray(mean / length, dtype=np.float32)

"""Cuts a stream of sound into overlapping windows; knows only arrays and counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from searchkit.types import FloatArray

__all__ = ["overlapping_windows"]


def overlapping_windows(
    blocks: Iterable[FloatArray], window: int, overlap: int
) -> Iterator[tuple[int | None, FloatArray]]:
    """Windows over a stream of unknown length, holding no more than about two of them at a time.

    A stream no longer than a window is one window. A longer one gives windows of exactly that length, each
    starting ``window - overlap`` after the one before; only the last moves back to end where the stream
    ends, so that it is no sliver.

    Args:
        blocks: pieces (n,) of the stream, in order, of any length.
        window: length of a window, in samples.
        overlap: what neighbours share, in samples, below ``window``.

    Yields:
        The window's first position in the stream (None when the window is the whole stream), and its
        samples, a copy.
    """
    hop = window - overlap
    held = np.empty(2 * window, dtype=np.float32)
    held_from = held_to = next_from = 0
    for block in blocks:
        if held_to - held_from + len(block) > len(held):
            # The last window may have to reach back behind the next one's start.
            keep_from = max(held_from, min(next_from, held_to - window))
            kept = held[keep_from - held_from : held_to - held_from]
            room = (
                held if len(kept) + len(block) <= len(held) else np.empty(len(kept) + len(block), np.float32)
            )
            room[: len(kept)] = kept.copy()
            held, held_from = room, keep_from
        held[held_to - held_from : held_to - held_from + len(block)] = block
        held_to += len(block)
        # Strictly more than a window, so that at least one sample is left for the last one.
        while held_to - next_from > window:
            at = next_from - held_from
            yield next_from, held[at : at + window].copy()
            next_from += hop
    rest = held[: held_to - held_from]
    if next_from > 0:
        yield held_to - window, rest[-window:].copy()
    elif len(rest):
        yield None, rest.copy()

"""Gives the live rows of sealed parts as one ascending sequence of blocks, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from searchkit.stores.faiss.segment import HalfArray
from searchkit.stores.faiss.snapshot import Part
from searchkit.types import IdArray

__all__ = ["live_ids", "merged_rows"]

_WINDOW_ROWS = 512
_ID_BLOCK = 1 << 16


def merged_rows(parts: Sequence[Part]) -> Iterator[tuple[IdArray, HalfArray]]:
    """Ids (N,), ascending over all blocks, and their rows (N, dim); no id may be alive in two parts.

    Holds at most a window of each part; parts whose ids follow one another cost one window.
    """
    places = [0] * len(parts)
    while True:
        windows = [part.ids[place : place + _WINDOW_ROWS] for part, place in zip(parts, places, strict=True)]
        if not any(map(len, windows)):
            return
        # Beyond the end of a window its part may hold ids that belong before those of the others.
        ends = [
            int(window[-1])
            for part, place, window in zip(parts, places, windows, strict=True)
            if place + len(window) < len(part.ids)
        ]
        ids, rows = [], []
        for number, (part, window) in enumerate(zip(parts, windows, strict=True)):
            count = int(np.searchsorted(window, min(ends), side="right")) if ends else len(window)
            if count:
                here = slice(places[number], places[number] + count)
                alive = slice(None) if part.alive is None else part.alive[here]
                ids.append(window[:count][alive])
                rows.append(part.rows[here][alive])
                places[number] += count
        if len(ids) == 1:
            yield ids[0], rows[0]
        else:
            joined = np.concatenate(ids)
            order = np.argsort(joined, kind="stable")
            yield joined[order], np.concatenate(rows)[order]


def live_ids(part: Part) -> Iterator[IdArray]:
    """The ids of a sealed part that are alive, ascending, block by block."""
    for start in range(0, len(part.ids), _ID_BLOCK):
        block = part.ids[start : start + _ID_BLOCK]
        yield block if part.alive is None else block[part.alive[start : start + _ID_BLOCK]]

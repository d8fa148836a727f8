"""Pictures as sixels, for terminals that know these (DEC VT340 and its heirs)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["sixels"]

_COLOURS = 64
_BAND = 6


def sixels(picture: Image.Image) -> str:
    """A picture as an escape sequence: bands of six rows, one run-length coded line for each colour in it."""
    indexed = picture.convert("RGB").quantize(_COLOURS)
    palette = np.array((indexed.getpalette() or [0, 0, 0])[: 3 * _COLOURS])
    pixels = np.asarray(indexed)
    height, width = pixels.shape
    parts = [f'\x1bP0;1;0q"1;1;{width};{height}']
    for colour, (red, green, blue) in enumerate(palette.reshape(-1, 3) * 100 // 255):
        parts.append(f"#{colour};2;{red};{green};{blue}")
    for top in range(0, height, _BAND):
        band = pixels[top : top + _BAND]
        weights = 1 << np.arange(len(band))[:, None]
        lines = [f"#{colour}{_runs(((band == colour) * weights).sum(axis=0))}" for colour in np.unique(band)]
        parts.append("$".join(lines) + "-")
    return "".join(parts) + "\x1b\\"


def _runs(bits: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """One line of a band: a character for each column, repeats as ``!count``."""
    ends = np.flatnonzero(np.append(np.diff(bits), 1))
    starts = np.concatenate(([0], ends[:-1] + 1))
    coded = []
    for start, end in zip(starts, ends, strict=True):
        count, char = int(end - start + 1), chr(63 + int(bits[start]))
        coded.append(f"!{count}{char}" if count > 3 else char * count)
    return "".join(coded)

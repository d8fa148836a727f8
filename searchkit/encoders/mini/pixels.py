"""From the pixels of a picture to the square that the image tower looks at; knows no model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["SIDE_PX", "to_square"]

SIDE_PX = 224
MARGIN = 0.06
BORDER_TOLERANCE = 12

Pixels = npt.NDArray[np.uint8]


def to_square(pixels: Pixels) -> Pixels:
    """Cut away a border of one colour, then fit the rest into a square with a small margin of that colour.

    Drawings come with all sorts of empty borders; photographs, whose corners differ, are only fitted.

    Args:
        pixels: (H, W, 3) uint8, H and W >= 1.

    Returns:
        (224, 224, 3) uint8.
    """
    factor = min(pixels.shape[:2]) // (2 * SIDE_PX)
    image = Image.fromarray(pixels)
    if factor > 1:
        image = image.reduce(factor)
    array = np.asarray(image)
    colour = np.median(array[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0).astype(np.uint8)
    image = image.crop(_content_box(array))
    scale = SIDE_PX * (1 - 2 * MARGIN) / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (SIDE_PX, SIDE_PX), (int(colour[0]), int(colour[1]), int(colour[2])))
    fitted = image.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(fitted, ((SIDE_PX - width) // 2, (SIDE_PX - height) // 2))
    return np.asarray(square)


def _content_box(array: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what differs from the corners; everything when the corners differ."""
    height, width = array.shape[:2]
    whole = (0, 0, width, height)
    corners = array[[0, 0, -1, -1], [0, -1, 0, -1]].astype(np.int16)
    if np.abs(corners - corners[0]).max() > BORDER_TOLERANCE:
        return whole
    differs = np.abs(array.astype(np.int16) - corners[0]).max(axis=2) > BORDER_TOLERANCE
    if not differs.any():
        return whole
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

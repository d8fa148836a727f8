"""From the pixels of a picture to the square that the image tower looks at; knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["SIDE_PX", "to_square"]

SIDE_PX = 224
MARGIN = 0.06
BORDER_TOLERANCE = 12

Pixels = npt.NDArray[np.uint8]

_DIFFERS = [255 if level > BORDER_TOLERANCE else 0 for level in range(256)] * 3


def to_square(pixels: Pixels) -> Pixels:
    """Cut away a border of one colour, then fit the rest into a square with a small margin of that colour.

    Drawings come with all sorts of empty borders; photographs, whose corners differ, are only fitted.

    Args:
        pixels: (H, W, 3) uint8, H and W >= 1.

    Returns:
        (224, 224, 3) uint8.
    """
    from PIL import Image  # only when there is a picture: words need no Pillow

    factor = min(pixels.shape[:2]) // (2 * SIDE_PX)
    image = Image.fromarray(pixels)
    if factor > 1:
        image = image.reduce(factor)
    corners = np.asarray(image)[[0, 0, -1, -1], [0, -1, 0, -1]]
    colour = np.median(corners, axis=0).astype(np.uint8)
    image = image.crop(_content_box(image, corners))
    scale = SIDE_PX * (1 - 2 * MARGIN) / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (SIDE_PX, SIDE_PX), _colour(colour))
    fitted = image.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(fitted, ((SIDE_PX - width) // 2, (SIDE_PX - height) // 2))
    return np.asarray(square)


def _content_box(image: Image.Image, corners: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what differs from the corners; everything when the corners differ."""
    from PIL import Image, ImageChops

    whole = (0, 0, *image.size)
    signed = corners.astype(np.int16)
    if np.abs(signed - signed[0]).max() > BORDER_TOLERANCE:
        return whole
    border = Image.new("RGB", image.size, _colour(corners[0]))
    differs = ImageChops.difference(image, border).point(_DIFFERS)
    return differs.getbbox() or whole


def _colour(pixel: npt.NDArray[np.uint8]) -> tuple[int, int, int]:
    return int(pixel[0]), int(pixel[1]), int(pixel[2])

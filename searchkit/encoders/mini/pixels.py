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
MOST_STRETCH = 2

Pixels = npt.NDArray[np.uint8]

_DIFFERS = [255 if level > BORDER_TOLERANCE else 0 for level in range(256)] * 3


def to_square(pixels: Pixels) -> Pixels:
    """Make a drawing or a photograph square, in the way that keeps most of what the tower can recognise.

    A drawing, whose corners are of one colour, loses its border and is fitted into the square with a small
    margin of that colour. A photograph is stretched to fill the square; one that is more than twice as long
    as wide loses its ends first.

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
    if _differ(corners):
        filled = image.crop(_middle_box(*image.size)).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
        return np.asarray(filled)
    image = image.crop(_content_box(image, corners))
    scale = SIDE_PX * (1 - 2 * MARGIN) / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (SIDE_PX, SIDE_PX), _colour(colour))
    fitted = image.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(fitted, ((SIDE_PX - width) // 2, (SIDE_PX - height) // 2))
    return np.asarray(square)


def _differ(corners: Pixels) -> bool:
    signed = corners.astype(np.int16)
    return bool(np.abs(signed - signed[0]).max() > BORDER_TOLERANCE)


def _middle_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the middle, at most MOST_STRETCH times as long as wide."""
    most = MOST_STRETCH * min(width, height)
    left, top = max(0, width - most) // 2, max(0, height - most) // 2
    return left, top, width - left, height - top


def _content_box(image: Image.Image, corners: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what differs from the corners; everything when nothing does."""
    from PIL import Image, ImageChops

    border = Image.new("RGB", image.size, _colour(corners[0]))
    differs = ImageChops.difference(image, border).point(_DIFFERS)
    return differs.getbbox() or (0, 0, *image.size)


def _colour(pixel: npt.NDArray[np.uint8]) -> tuple[int, int, int]:
    return int(pixel[0]), int(pixel[1]), int(pixel[2])

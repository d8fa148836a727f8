"""Pictures to the image adapter's input: squashed to a square, with CLIP's mean and deviation of colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from searchkit.errors import DecodeError, EncoderError
from searchkit.types import FloatArray

__all__ = ["MEAN", "STD", "normalise_pixels", "open_picture", "resize_picture"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def open_picture(path: Path | str) -> Image.Image:
    """Read a picture as RGB: alpha dropped, first frame, EXIF orientation not applied.

    Raises:
        DecodeError: the file is missing or is no picture.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DecodeError(path, f"not a readable picture: {error}") from error


def resize_picture(picture: Image.Image | npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 or an RGB image to (S, S, 3), whatever its aspect ratio; antialiased bicubic."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((size_px, size_px), Image.Resampling.BICUBIC), dtype=np.uint8)


def normalise_pixels(pictures: Sequence[npt.NDArray[np.uint8]]) -> FloatArray:
    """Resized pictures (S, S, 3) uint8 to the model's input (B, 3, S, S).

    Raises:
        EncoderError: there is no picture.
    """
    if not len(pictures):
        raise EncoderError("at least one picture is needed, got an empty list")
    scaled = np.stack(pictures).astype(np.float32) / np.float32(255)
    centred = (scaled - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)
    return np.ascontiguousarray(centred.transpose(0, 3, 1, 2))

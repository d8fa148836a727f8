"""Depth maps: how far away each pixel is, from ranging cameras, renderers or depth estimation.

Read are grey PNG files of 16 bits (millimetres, as Kinect and most data sets write them), grey PFM files,
``.npz`` files with an array ``depth``, and two-dimensional ``.npy`` files; numbers that are no integers are
metres. Zero, or what is not finite, means "no reading".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.errors import DecodeError
from searchkit.modalities import arrays
from searchkit.modality import Plug
from searchkit.types import ArraySample, FloatArray

__all__ = ["PLUG"]

_NAMES = ("depth", "depths")
_SMALLEST_PX = 8
# Beyond e to this power times the median, far is far.
_LOG_RANGE = 2.0


def sniff(path: Path, head: bytes) -> str | None:
    """The media type of a depth map."""
    if arrays.png_kind(head) == (16, 0):
        return "image/png"
    if arrays.pfm_channels(head) == 1:
        return arrays.PFM
    found = arrays.npy_header(head)
    if found and len(found[0]) == 2 and min(found[0]) >= _SMALLEST_PX:
        return arrays.NPY
    shape = arrays.npz_shape(path, head, _NAMES)
    return arrays.NPZ if shape and len(shape) == 2 else None


def read(path: Path) -> FloatArray:
    """Metres (H, W) float32, 0 where there is no reading.

    Raises:
        DecodeError: it is no depth map, or says nothing anywhere.
    """
    with path.open("rb") as file:
        mime = sniff(path, file.read(32 << 10))
    if mime == "image/png":
        from PIL import Image

        with Image.open(path, formats=["PNG"]) as picture:
            values = np.asarray(picture)
    elif mime is not None:
        values = arrays.read_array(path, mime, _NAMES)
    else:
        raise DecodeError(path, "it is no depth map")
    metres = values.astype(np.float32) / np.float32(1000 if values.dtype.kind in "iu" else 1)
    metres = np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(0))
    if not metres.any():
        raise DecodeError(path, "it has no reading anywhere")
    return metres


def decode(path: Path) -> Iterator[ArraySample]:
    """One sample: metres (H, W)."""
    yield ArraySample(PLUG.modality, read(path))


def facts(path: Path) -> Mapping[str, int]:
    """Its size."""
    height_px, width_px = read(path).shape
    return {"width_px": width_px, "height_px": height_px}


def prepare(values: FloatArray, options: Mapping[str, Any]) -> FloatArray:
    """(1, S, S): logarithms around the median, so that neither unit nor scale matters; no reading is far."""
    from PIL import Image

    known = values > 0
    logs = np.full(values.shape, _LOG_RANGE, np.float32)
    logs[known] = np.log(values[known])
    logs[known] = np.clip(logs[known] - np.median(logs[known]), -_LOG_RANGE, _LOG_RANGE)
    size = int(options["size_px"])
    resized = Image.fromarray(logs).resize((size, size), Image.Resampling.BOX)
    return np.asarray(resized, np.float32)[None]


def preview(values: FloatArray) -> npt.NDArray[np.uint8]:
    """Near is bright; no reading is black."""
    known = values > 0
    near, far = np.quantile(values[known], (0.02, 0.98))
    brightness = 255 - 215 * np.clip((values - near) / max(float(far - near), 1e-6), 0, 1)
    grey = np.where(known, brightness, 0).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


PLUG = Plug(
    name="depth",
    noun="a depth map",
    extensions=(".pfm",),
    sniff=sniff,
    decode=decode,
    facts=facts,
    prepare=prepare,
    preview=preview,
    adapter="searchkit.one_peace.grid_adapter:GridAdapter",
    options={"channels": 1, "vision_encoder_type": "hmlp", "use_attn_bias": True},
)

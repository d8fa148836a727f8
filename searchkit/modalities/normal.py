"""Normal maps: which way each pixel's surface faces, as unit vectors.

Read are coloured PFM files, ``.npz`` files with an array ``normal`` or ``normals``, ``.npy`` files of shape
(H, W, 3), and PNG files of three colours in 16 bits, where 0 to the maximum stands for -1 to 1. A picture of
8 bits stays a picture: nothing in it says that it is a normal map.
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

_NAMES = ("normal", "normals")


def _is_map(shape: tuple[int, ...] | None) -> bool:
    return shape is not None and len(shape) == 3 and shape[2] == 3 and min(shape[:2]) >= 8


def sniff(path: Path, head: bytes) -> str | None:
    """The media type of a normal map."""
    if arrays.png_kind(head) == (16, 2):
        return "image/png"
    if arrays.pfm_channels(head) == 3:
        return arrays.PFM
    found = arrays.npy_header(head)
    if found and _is_map(found[0]) and found[1].kind == "f":
        return arrays.NPY
    return arrays.NPZ if _is_map(arrays.npz_shape(path, head, _NAMES)) else None


def read(path: Path) -> FloatArray:
    """Unit vectors (H, W, 3) float32; zero where there is no surface.

    Raises:
        DecodeError: it is no normal map, or holds no direction.
    """
    with path.open("rb") as file:
        mime = sniff(path, file.read(32 << 10))
    if mime == "image/png":
        from PIL import Image

        with Image.open(path, formats=["PNG"]) as picture:
            values = np.asarray(picture.convert("RGB"), np.float32) / 127.5 - 1
    elif mime is not None:
        values = arrays.read_array(path, mime, _NAMES)
    else:
        raise DecodeError(path, "it is no normal map")
    vectors = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    if not (lengths > 0.1).any():
        raise DecodeError(path, "it holds no direction anywhere")
    return np.where(lengths > 0.1, vectors / np.maximum(lengths, 1e-6), 0).astype(np.float32)


def decode(path: Path) -> Iterator[ArraySample]:
    """One sample: unit vectors (H, W, 3)."""
    yield ArraySample(PLUG.modality, read(path))


def facts(path: Path) -> Mapping[str, int]:
    """Its size."""
    height_px, width_px, _ = read(path).shape
    return {"width_px": width_px, "height_px": height_px}


def prepare(values: FloatArray, options: Mapping[str, Any]) -> FloatArray:
    """(3, S, S), each direction's part averaged over the pixels that become one."""
    from PIL import Image

    size = int(options["size_px"])
    parts = [Image.fromarray(np.ascontiguousarray(values[:, :, axis])) for axis in range(3)]
    return np.stack(
        [np.asarray(part.resize((size, size), Image.Resampling.BOX), np.float32) for part in parts]
    )


def preview(values: FloatArray) -> npt.NDArray[np.uint8]:
    """The usual colours: facing the camera is blue."""
    colours: npt.NDArray[np.uint8] = np.clip((values + 1) * 127.5, 0, 255).astype(np.uint8)
    return colours


PLUG = Plug(
    name="normal",
    noun="a normal map",
    extensions=(),
    sniff=sniff,
    decode=decode,
    facts=facts,
    prepare=prepare,
    preview=preview,
    adapter="searchkit.one_peace.grid_adapter:GridAdapter",
    options={"channels": 3, "vision_encoder_type": "hmlp", "use_attn_bias": True},
)

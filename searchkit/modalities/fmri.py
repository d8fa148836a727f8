"""fMRI vectors: the activity of many places of a brain at once, as data sets of vision publish them.

Read are ``.npz`` files with an array ``fmri``, ``voxels`` or ``betas``, of shape (V,) or (repeats, V), and
``.npy`` files of shape (V,), with at least 64 numbers. Volumes (NIfTI) have to be masked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.errors import DecodeError
from searchkit.modalities import arrays
from searchkit.modality import Plug
from searchkit.types import ArraySample, FloatArray

__all__ = ["PLUG"]

_NAMES = ("fmri", "voxels", "betas")
_FEWEST = 64


def sniff(path: Path, head: bytes) -> str | None:
    """The media type of an fMRI vector."""
    found = arrays.npy_header(head)
    if found and len(found[0]) == 1 and found[0][0] >= _FEWEST and found[1].kind == "f":
        return arrays.NPY
    shape = arrays.npz_shape(path, head, _NAMES)
    return arrays.NPZ if shape and len(shape) in (1, 2) and shape[-1] >= _FEWEST else None


def decode(path: Path) -> Iterator[ArraySample]:
    """One sample (V,), the mean over repeats.

    Raises:
        DecodeError: it is no fMRI vector, or all its numbers are equal.
    """
    with path.open("rb") as file:
        mime = sniff(path, file.read(32 << 10))
    if mime is None:
        raise DecodeError(path, "it is no fMRI vector")
    values = arrays.read_array(path, mime, _NAMES)
    vector = np.nan_to_num(np.asarray(values, np.float64).reshape(-1, values.shape[-1]).mean(axis=0))
    if not float(np.ptp(vector)) > 0:
        raise DecodeError(path, "all its numbers are equal")
    yield ArraySample(PLUG.modality, vector.astype(np.float32))


def prepare(values: FloatArray, options: Mapping[str, Any]) -> FloatArray:
    """(1, length): mean 0 and deviation 1, cut or filled with zeros to the adapter's length."""
    length = int(options["length"])
    scaled = (values - values.mean()) / max(float(values.std()), 1e-6)
    out = np.zeros((1, length), np.float32)
    out[0, : min(len(values), length)] = np.clip(scaled[:length], -10, 10)
    return out


PLUG = Plug(
    name="fmri",
    noun="an fMRI vector",
    extensions=(),
    sniff=sniff,
    decode=decode,
    prepare=prepare,
    adapter="searchkit.one_peace.series_adapter:SeriesAdapter",
    options={"channels": 1, "length": 15872, "patch": 256, "use_attn_bias": True},
)

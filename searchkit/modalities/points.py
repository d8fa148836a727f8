"""Point clouds: places on surfaces, from scanners and meshes, with colours where a file has them.

Read are PLY and PCD files (text and plain binary), ``.npz`` files with an array ``points`` (and perhaps
``colors``), and ``.npy`` files of shape (N, 3) to (N, 7) with coordinates first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.errors import DecodeError
from searchkit.modalities import arrays
from searchkit.modalities.point_files import read_pcd, read_ply
from searchkit.modality import Plug
from searchkit.types import ArraySample, FloatArray

__all__ = ["PLUG"]

_NAMES = ("points", "xyz")
_FEWEST = 16
_KEPT = 8192


def _is_cloud(shape: tuple[int, ...] | None) -> bool:
    return shape is not None and len(shape) == 2 and 3 <= shape[1] <= 7 and shape[0] >= _FEWEST


def sniff(path: Path, head: bytes) -> str | None:
    """The media type of a point cloud."""
    if head.startswith((b"ply\n", b"ply\r")):
        return "model/x-ply"
    if head.lstrip().startswith(b"# .PCD") or (b"\nFIELDS x y z" in head[:512] and b"\nDATA " in head[:1024]):
        return "model/x-pcd"
    found = arrays.npy_header(head)
    if found and _is_cloud(found[0]):
        return arrays.NPY
    return arrays.NPZ if _is_cloud(arrays.npz_shape(path, head, _NAMES)) else None


def read(path: Path) -> FloatArray:
    """(N, 6): coordinates, and colours from 0 to 1 (0.5 where there are none).

    Raises:
        DecodeError: it is no point cloud, or has fewer than 16 points.
    """
    with path.open("rb") as file:
        mime = sniff(path, file.read(32 << 10))
    if mime == "model/x-ply":
        values: npt.NDArray[Any] = read_ply(path)
    elif mime == "model/x-pcd":
        values = read_pcd(path)
    elif mime == arrays.NPY:
        values = arrays.read_npy(path)
    elif mime is not None:
        held = arrays.read_npz(path, (*_NAMES, "colors"))
        values = next(held[name] for name in _NAMES if name in held)
        if "colors" in held and held["colors"].shape == (len(values), 3):
            values = np.hstack([values[:, :3], held["colors"]])
    else:
        raise DecodeError(path, "it is no point cloud")
    places = np.asarray(values[:, :3], np.float32)
    colours = np.full(places.shape, 0.5, np.float32)
    if values.shape[1] >= 6:
        colours = np.asarray(values[:, 3:6], np.float32)
        colours /= np.float32(255 if len(colours) and float(colours.max()) > 1 else 1)
    cloud: FloatArray = np.hstack([places, colours])
    cloud = cloud[np.isfinite(cloud).all(axis=1)]
    if len(cloud) < _FEWEST:
        raise DecodeError(path, f"it has {len(cloud)} points, {_FEWEST} are the fewest")
    return cloud


def decode(path: Path) -> Iterator[ArraySample]:
    """One sample: up to 8192 points (N, 6), drawn evenly and the same each time."""
    cloud = read(path)
    if len(cloud) > _KEPT:
        cloud = cloud[np.sort(np.random.default_rng(0).choice(len(cloud), _KEPT, replace=False))]
    yield ArraySample(PLUG.modality, cloud)


def prepare(values: FloatArray, options: Mapping[str, Any]) -> FloatArray:
    """(n, 6): n points in farthest-first order (Eldar et al., 1997), centred, in the unit ball."""
    count = int(options["points"])
    places = values[:, :3] - values[:, :3].mean(axis=0)
    places = places / max(float(np.linalg.norm(places, axis=1).max()), 1e-9)
    chosen = np.zeros(count, np.int64)
    chosen[0] = int(np.linalg.norm(places, axis=1).argmax())
    nearest = np.full(len(places), np.inf, np.float32)
    for step in range(1, count):
        nearest = np.minimum(nearest, ((places - places[chosen[step - 1]]) ** 2).sum(axis=1))
        # Beyond the last point the farthest is at distance 0, and points come again.
        chosen[step] = int(nearest.argmax()) if step < len(places) else chosen[step % len(places)]
    return np.concatenate([places[chosen], values[chosen, 3:6]], axis=1).astype(np.float32)


PLUG = Plug(
    name="points",
    noun="a point cloud",
    extensions=(".ply", ".pcd"),
    sniff=sniff,
    decode=decode,
    prepare=prepare,
    adapter="searchkit.one_peace.point_adapter:PointAdapter",
    options={"points": 1024, "groups": 64, "neighbours": 32},
)

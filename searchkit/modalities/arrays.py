"""Files of plain arrays (``.npy``, ``.npz``, ``.pfm``): what is in them, and reading it within limits."""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.errors import DecodeError

__all__ = ["NPY", "NPZ", "PFM", "npy_header", "npz_shape", "png_kind", "read_array", "read_npy", "read_npz"]

NPY = "application/x-npy"
NPZ = "application/x-npz"
PFM = "image/x-portable-floatmap"
_MAX_BYTES = 1 << 30
_PFM = re.compile(rb"P([Ff])\s+(\d{1,6})\s+(\d{1,6})\s+([-+]?[\d.]+(?:[eE][-+]?\d+)?)[ \t\r]?\n?")


def npy_header(head: bytes) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
    """Shape and type of an array of numbers, from a ``.npy`` file's first bytes; None when it is none."""
    if not head.startswith(b"\x93NUMPY") or len(head) < 12:
        return None
    wide = head[6] > 1
    start = 12 if wide else 10
    size = int.from_bytes(head[8:start], "little")
    try:
        fields = ast.literal_eval(head[start : start + size].decode("latin-1").strip())
        shape, kind = tuple(map(int, fields["shape"])), np.dtype(fields["descr"])
    except (ValueError, SyntaxError, KeyError, TypeError):
        return None
    return (shape, kind) if kind.kind in "fiu" else None


def npz_shape(path: Path, head: bytes, names: Iterable[str]) -> tuple[int, ...] | None:
    """The shape of the first of some arrays that a ``.npz`` file holds; None when it holds none of them."""
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            for name in names:
                if f"{name}.npy" in held:
                    with archive.open(f"{name}.npy") as member:
                        found = npy_header(member.read(4096))
                    return found[0] if found else None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError):
        return None
    return None


def read_npz(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of some arrays that a ``.npz`` file holds; code in it is never run.

    Raises:
        DecodeError: an array is larger than 1 GB.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    wanted = [name for name in names if f"{name}.npy" in sizes]
    if sum(sizes[f"{name}.npy"] for name in wanted) > _MAX_BYTES:
        raise DecodeError(path, "its arrays are larger than 1 GB")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in wanted}


def read_npy(path: Path) -> npt.NDArray[Any]:
    """The array of a ``.npy`` file; code in it is never run."""
    array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def read_array(path: Path, mime: str, names: Iterable[str]) -> npt.NDArray[Any]:
    """The one array of a file whose media type is known, of a ``.npz`` file the first of some names.

    Raises:
        DecodeError: it is cut off, or larger than 1 GB.
    """
    if mime == PFM:
        return read_pfm(path)
    return read_npy(path) if mime == NPY else next(iter(read_npz(path, names).values()))


def png_kind(head: bytes) -> tuple[int, int] | None:
    """Bits a channel, and the colour type (0 grey, 2 colours), of a PNG file; None of anything else."""
    if not head.startswith(b"\x89PNG\r\n\x1a\n") or head[12:16] != b"IHDR" or len(head) < 26:
        return None
    return head[24], head[25]


def pfm_channels(head: bytes) -> int:
    """1 for a grey portable float map, 3 for a coloured one, 0 for anything else."""
    found = _PFM.match(head[:128])
    return 0 if found is None else 3 if found[1] == b"F" else 1


def read_pfm(path: Path) -> npt.NDArray[np.float32]:
    """A portable float map, rows from the top: (H, W) or (H, W, 3) float32.

    Raises:
        DecodeError: it is cut off.
    """
    content = path.read_bytes()
    found = _PFM.match(content[:128])
    if found is None:
        raise DecodeError(path, "its header is damaged")
    width, height, channels = int(found[2]), int(found[3]), 3 if found[1] == b"F" else 1
    kind = "<f4" if float(found[4]) < 0 else ">f4"
    count = width * height * channels
    if len(content) - found.end() < 4 * count:
        raise DecodeError(path, "it is cut off")
    values = np.frombuffer(content, kind, count, found.end()).astype(np.float32)
    shape = (height, width, channels) if channels == 3 else (height, width)
    return values.reshape(shape)[::-1].copy()

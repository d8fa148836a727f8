"""IMU series: acceleration and turning over time, from watches, phones and robots.

Read are CSV files whose first line names columns for the three axes of an accelerometer and of a gyroscope
(``ax, ay, az, gx, gy, gz``, ``acc_x``, ``gyro_z`` and the like) and perhaps a time, and ``.npz`` files with
arrays ``acc`` and ``gyro`` (T, 3) and a number ``rate_hz``. Accelerations are m/s2, turning is rad/s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.errors import DecodeError
from searchkit.modalities import arrays
from searchkit.modality import Plug
from searchkit.types import ArraySample, FloatArray, Span

__all__ = ["PLUG"]

RATE_HZ = 50
WINDOW_S, HOP_S = 10.0, 5.0
_NAMES = ("acc", "gyro")
_AXIS = re.compile(
    r"(?P<kind>a|acc\w*|lin\w*acc\w*|g|gyr\w*|ang\w*|rot\w*)[ _.-]?(?P<axis>[xyz])\b.*", re.IGNORECASE
)
_TIME = re.compile(r"(time(stamp)?|t|seconds)([ _(\[]*(?P<unit>s|sec|ms|us|ns))?[)\]]*", re.IGNORECASE)
_UNITS_S = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DEFAULT_RATE_HZ = 100.0
_LONGEST_S = 48 * 3600


def _columns(line: str) -> dict[str, int]:
    """Column numbers by "ax" ... "gz" and "t"; {} unless all six axes are named."""
    found: dict[str, int] = {}
    for number, cell in enumerate(re.split(r"[,;\t]", line.strip())):
        name = cell.strip().strip('"')
        if axis := _AXIS.fullmatch(name):
            turns = axis["kind"][0].lower() in "gr" or axis["kind"].lower().startswith("ang")
            found.setdefault(("g" if turns else "a") + axis["axis"].lower(), number)
        elif _TIME.fullmatch(name):
            found.setdefault("t", number)
    return found if {"ax", "ay", "az", "gx", "gy", "gz"} <= found.keys() else {}


def sniff(path: Path, head: bytes) -> str | None:
    """The media type of an IMU series."""
    shape = arrays.npz_shape(path, head, _NAMES)
    if shape is not None:
        return arrays.NPZ if len(shape) == 2 and shape[1] == 3 else None
    first = head.split(b"\n", 1)[0]
    return "text/csv" if len(first) < 2000 and _columns(first.decode("utf-8", "replace")) else None


def read(path: Path) -> FloatArray:
    """(T, 6) at 50 Hz: acceleration, then turning.

    Raises:
        DecodeError: it is no IMU series, has no numbers, or its times do not ascend.
    """
    with path.open("rb") as file:
        mime = sniff(path, file.read(32 << 10))
    if mime is None:
        raise DecodeError(path, "it is no IMU series")
    if mime == arrays.NPZ:
        held = arrays.read_npz(path, (*_NAMES, "rate_hz"))
        if set(_NAMES) - held.keys() or held["acc"].shape != held["gyro"].shape:
            raise DecodeError(path, "acc and gyro are not two arrays (T, 3) of one length")
        values = np.concatenate([held["acc"], held["gyro"]], axis=1).astype(np.float64)
        rate_hz = float(held.get("rate_hz", _DEFAULT_RATE_HZ))
        times_s = np.arange(len(values)) / rate_hz if rate_hz > 0 else np.zeros(len(values))
    else:
        values, times_s = _read_csv(path)
    if len(values) < 2 or not np.isfinite(values).all():
        raise DecodeError(path, "it has no series of numbers")
    if not (np.diff(times_s) > 0).all():
        raise DecodeError(path, "its times do not ascend")
    if times_s[-1] - times_s[0] > _LONGEST_S:
        raise DecodeError(path, f"it lasts longer than {_LONGEST_S / 3600:.0f} hours")
    steps = np.arange(times_s[0], times_s[-1] + 1e-9, 1 / RATE_HZ)
    return np.stack([np.interp(steps, times_s, column) for column in values.T], axis=1).astype(np.float32)


def _read_csv(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    text = path.read_text("utf-8", "replace")
    head, _, body = text.partition("\n")
    columns = _columns(head)
    mark = next(mark for mark in ";\t," if mark in head)
    rows = np.genfromtxt(body.splitlines(), delimiter=mark, invalid_raise=False, loose=True, ndmin=2)
    values = rows[:, [columns[name] for name in ("ax", "ay", "az", "gx", "gy", "gz")]]
    if "t" not in columns:
        return values, np.arange(len(values)) / _DEFAULT_RATE_HZ
    name = re.split(r"[,;\t]", head.strip())[columns["t"]].strip().strip('"')
    times_s = rows[:, columns["t"]] - rows[0, columns["t"]]
    unit = (found["unit"] or "").lower() if (found := _TIME.fullmatch(name)) else ""
    times_s *= _UNITS_S.get(unit, 1.0)
    # Nobody measures motion less than once a second: such steps are in a smaller unit.
    while not unit and len(times_s) > 1 and np.median(np.diff(times_s)) > 1:
        times_s /= 1000
    return values, times_s


def decode(path: Path) -> Iterator[ArraySample]:
    """Windows of ten seconds that share five, (T, 6) each; a shorter series is one whole sample."""
    series = read(path)
    size, hop = int(WINDOW_S * RATE_HZ), int(HOP_S * RATE_HZ)
    if len(series) <= size:
        yield ArraySample(PLUG.modality, series)
        return
    for start in range(0, len(series) - hop, hop):
        window = series[start : start + size]
        yield ArraySample(PLUG.modality, window, Span(start / RATE_HZ, (start + len(window)) / RATE_HZ))


def facts(path: Path) -> Mapping[str, float | int]:
    """How long it is."""
    return {"duration_s": len(read(path)) / RATE_HZ, "rate_hz": RATE_HZ, "channels": 6}


def prepare(values: FloatArray, options: Mapping[str, Any]) -> FloatArray:
    """(6, length): accelerations in units of gravity; what a short series lacks is zero."""
    length = int(options["length"])
    out = np.zeros((6, length), np.float32)
    out[:, : min(len(values), length)] = values[:length].T
    out[:3] /= np.float32(9.81)
    return np.clip(out, -20, 20)


PLUG = Plug(
    name="imu",
    noun="an IMU series",
    extensions=(),
    sniff=sniff,
    decode=decode,
    facts=facts,
    prepare=prepare,
    adapter="searchkit.one_peace.series_adapter:SeriesAdapter",
    options={"channels": 6, "length": int(WINDOW_S * RATE_HZ), "patch": 10, "use_attn_bias": True},
)

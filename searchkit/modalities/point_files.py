"""PLY and PCD files: the coordinates and colours of their points, nothing else of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.errors import DecodeError

__all__ = ["read_pcd", "read_ply"]

_PLY_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_COLOURS = (("red", "green", "blue"), ("r", "g", "b"))


def read_ply(path: Path) -> npt.NDArray[np.float32]:
    """Points of a PLY file, whose vertices must come first: (N, 3), or (N, 6) with colours.

    Raises:
        DecodeError: its header is damaged, or it is cut off.
    """
    content = path.read_bytes()
    end = content.find(b"end_header")
    body = content.find(b"\n", end) + 1
    if end < 0 or body <= 0:
        raise DecodeError(path, "its header is damaged")
    lines = [line.split() for line in content[:end].decode("ascii", "replace").splitlines()]
    form = next((line[1] for line in lines if line[:1] == ["format"] and len(line) > 1), "")
    count = 0
    fields: list[tuple[str, str]] = []
    inside = False
    for line in lines:
        if line[:1] == ["element"]:
            if fields:
                break
            inside = line[1:2] == ["vertex"]
            if not inside:
                raise DecodeError(path, "its vertices do not come first")
            count = int(line[2])
        elif line[:1] == ["property"] and inside:
            if line[1] == "list" or line[1] not in _PLY_TYPES:
                raise DecodeError(path, "a property of its vertices is of no known type")
            fields.append((line[2], _PLY_TYPES[line[1]]))
    return _table(path, content[body:], fields, count, "binary" if "binary" in form else "ascii", form)


def read_pcd(path: Path) -> npt.NDArray[np.float32]:
    """Points of a PCD file: (N, 3), or (N, 6) with colours.

    Raises:
        DecodeError: it is compressed, its header is damaged, or it is cut off.
    """
    content = path.read_bytes()
    end = content.find(b"\nDATA ")
    body = content.find(b"\n", end + 1) + 1
    if end < 0 or body <= 0:
        raise DecodeError(path, "its header is damaged")
    header = {
        line.split()[0]: line.split()[1:]
        for line in content[:body].decode("ascii", "replace").splitlines()
        if line.strip() and not line.startswith("#")
    }
    kind = header["DATA"][0]
    if kind not in ("ascii", "binary"):
        raise DecodeError(path, f"its data are {kind}; only ascii and binary are read")
    counts = [int(number) for number in header.get("COUNT", ["1"] * len(header["FIELDS"]))]
    codes = [t.lower() + s for t, s in zip(header["TYPE"], header["SIZE"], strict=True)]
    fields = [
        (name if part == 0 else f"{name}.{part}", code)
        for name, code, repeat in zip(header["FIELDS"], codes, counts, strict=True)
        for part in range(repeat)
    ]
    return _table(path, content[body:], fields, int(header["POINTS"][0]), kind, "little")


def _table(
    path: Path, body: bytes, fields: list[tuple[str, str]], count: int, kind: str, order: str
) -> npt.NDArray[np.float32]:
    names = [name for name, _ in fields]
    if not {"x", "y", "z"} <= set(names) or len(set(names)) < len(names) or count < 1:
        raise DecodeError(path, "it has no points with x, y and z")
    mark = ">" if "big" in order else "<"
    record = np.dtype([(name, mark + code) for name, code in fields])
    columns: Any
    if kind == "binary":
        if len(body) < count * record.itemsize:
            raise DecodeError(path, "it is cut off")
        rows = np.frombuffer(body, record, count)
        columns = {name: rows[name] for name in names}
    else:
        numbers = np.array(body.split(maxsplit=count * len(fields))[: count * len(fields)], dtype=np.float64)
        if len(numbers) < count * len(fields):
            raise DecodeError(path, "it is cut off")
        columns = dict(zip(names, numbers.reshape(count, -1).T, strict=True))
    wanted = ["x", "y", "z"]
    wanted += next((list(colour) for colour in _COLOURS if set(colour) <= set(names)), [])
    return np.stack([np.asarray(columns[name], np.float32) for name in wanted], axis=1)

"""Exports that numpy reads: ``NAME.npy`` (N, dim) float32, and ``NAME.jsonl`` with one line for each row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from searchkit.durable import replace_file
from searchkit.indexer.moving.formats import Block, Rows, bad_export
from searchkit.types import Space

__all__ = ["NpyFormat"]

_ASSETS = "assets.jsonl"
_CHUNK_ROWS = 1000


class NpyFormat:
    """See Format."""

    def write_assets(self, folder: Path, blocks: Iterable[Rows]) -> list[str]:
        """Write ``assets.jsonl``."""
        with replace_file(folder / _ASSETS) as file:
            for rows in blocks:
                file.write(_lines(rows))
        return [_ASSETS]

    def write_segments(
        self, folder: Path, name: str, space: Space, count: int, blocks: Iterable[Block]
    ) -> list[str]:
        """Write ``NAME.jsonl`` and ``NAME.npy``."""
        head = {"descr": "<f4", "fortran_order": False, "shape": (count, space.dim)}
        names = [f"{name}.jsonl", f"{name}.npy"]
        with replace_file(folder / names[0]) as lines, replace_file(folder / names[1]) as vectors:
            np.lib.format.write_array_header_1_0(vectors, head)
            for rows, matrix in blocks:
                lines.write(_lines(rows))
                vectors.write(matrix.astype("<f4").tobytes())
        return names

    def read_assets(self, folder: Path) -> Iterator[Rows]:
        """Read ``assets.jsonl``."""
        return _read_lines(folder / _ASSETS)

    def read_segments(self, folder: Path, name: str, dim: int) -> Iterator[Block]:
        """Read ``NAME.jsonl`` and ``NAME.npy``."""
        path = folder / f"{name}.npy"
        try:
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise bad_export(path, str(error)) from error
        if vectors.ndim != 2 or vectors.shape[1] != dim or vectors.dtype.kind != "f":
            raise bad_export(path, f"expected float vectors (N, {dim}), got {vectors.dtype} {vectors.shape}")
        start = 0
        for rows in _read_lines(folder / f"{name}.jsonl"):
            matrix = np.array(vectors[start : start + len(rows)], dtype=np.float32)
            if len(matrix) != len(rows):
                break
            yield rows, matrix
            start += len(rows)
        if start != len(vectors):
            raise bad_export(path, f"has {len(vectors)} rows, which is not as many as {name}.jsonl has lines")


def _lines(rows: Rows) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _read_lines(path: Path) -> Iterator[Rows]:
    rows: Rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                rows.append(json.loads(line))
                if len(rows) == _CHUNK_ROWS:
                    yield rows
                    rows = []
    except (OSError, ValueError) as error:
        raise bad_export(path, str(error)) from error
    if rows:
        yield rows

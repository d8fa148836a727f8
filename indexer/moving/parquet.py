"""Exports that data-frame programs read: one Parquet file for each collection, and one for the assets.

The space of the vectors is JSON in the file's own metadata, under the key ``searchkit``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from searchkit.durable import replace_file
from searchkit.errors import DependencyMissing
from searchkit.indexer.moving.formats import Block, Rows, bad_export
from searchkit.types import FloatArray, Space

__all__ = ["ParquetFormat"]

try:
    import pyarrow
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise DependencyMissing("pyarrow", "parquet") from error

# its own types are not all there
_pa: Any = pyarrow
_Columns: TypeAlias = dict[str, Any]

_CHUNK_ROWS = 1000
_VECTOR = "vector"
_ASSETS: _Columns = {
    "id": _pa.int64(),
    "path": _pa.string(),
    "root": _pa.string(),
    "modality": _pa.string(),
    "mime": _pa.string(),
    "size_bytes": _pa.int64(),
    "mtime_ns": _pa.int64(),
    "content_hash": _pa.string(),
    "date": _pa.string(),
    "width_px": _pa.int64(),
    "height_px": _pa.int64(),
    "duration_s": _pa.float64(),
    "rate_hz": _pa.int64(),
    "channels": _pa.int64(),
    "latitude": _pa.float64(),
    "longitude": _pa.float64(),
    "facts": _pa.string(),
    "added_at": _pa.string(),
    "tags": _pa.list_(_pa.string()),
    "embeddings": _pa.string(),
}
_AS_JSON = ("facts", "embeddings")
_SEGMENTS: _Columns = {
    "segment_id": _pa.int64(),
    "asset_id": _pa.int64(),
    "path": _pa.string(),
    "ordinal": _pa.int64(),
    "start_s": _pa.float64(),
    "end_s": _pa.float64(),
    "text": _pa.string(),
}


class ParquetFormat:
    """See Format."""

    def write_assets(self, folder: Path, blocks: Iterable[Rows]) -> list[str]:
        """Write ``assets.parquet``."""
        schema = _pa.schema(list(_ASSETS.items()))
        written = (
            [row | {name: json.dumps(row[name]) for name in _AS_JSON} for row in rows] for rows in blocks
        )
        tables = (_pa.Table.from_pylist(rows, schema) for rows in written)
        return [_write(folder / "assets.parquet", schema, tables)]

    def write_segments(
        self, folder: Path, name: str, space: Space, count: int, blocks: Iterable[Block]
    ) -> list[str]:
        """Write ``NAME.parquet``, the vectors as its last column."""
        del count
        told = json.dumps({"fingerprint": space.fingerprint, **dataclasses.asdict(space)})
        kind = _pa.list_(_pa.float32(), space.dim)
        plain = _pa.schema(list(_SEGMENTS.items()))
        schema = plain.append(_pa.field(_VECTOR, kind)).with_metadata({"searchkit": told})

        def tables() -> Iterator[Any]:
            for rows, matrix in blocks:
                flat = _pa.array(np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1))
                vectors = _pa.FixedSizeListArray.from_arrays(flat, space.dim)
                table = _pa.Table.from_pylist(rows, plain).append_column(_VECTOR, vectors)
                yield table.cast(schema)

        return [_write(folder / f"{name}.parquet", schema, tables())]

    def read_assets(self, folder: Path) -> Iterator[Rows]:
        """Read ``assets.parquet``."""
        path = folder / "assets.parquet"
        for batch in _read(path, _ASSETS, lambda schema: None):
            rows: Rows = batch.to_pylist()
            yield [row | {name: json.loads(row[name]) for name in _AS_JSON} for row in rows]

    def read_segments(self, folder: Path, name: str, dim: int) -> Iterator[Block]:
        """Read ``NAME.parquet``."""
        path = folder / f"{name}.parquet"

        def check(schema: Any) -> None:
            kind = schema.field(_VECTOR).type
            if getattr(kind, "list_size", None) != dim:
                raise bad_export(path, f"expected vectors of length {dim}, got {kind}")

        for batch in _read(path, {**_SEGMENTS, _VECTOR: None}, check):
            flat = batch.column(_VECTOR).flatten().to_numpy(zero_copy_only=False)
            matrix: FloatArray = flat.astype(np.float32).reshape(-1, dim)
            yield batch.select(list(_SEGMENTS)).to_pylist(), matrix


def _write(path: Path, schema: Any, tables: Iterable[Any]) -> str:
    with (
        replace_file(path) as file,
        _pa.parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=False) as writer,
    ):
        for table in tables:
            writer.write_table(table)
    return path.name


def _read(path: Path, columns: _Columns, check: Callable[[Any], None]) -> Iterator[Any]:
    try:
        with _pa.parquet.ParquetFile(path) as file:
            missing = columns.keys() - set(file.schema_arrow.names)
            if missing:
                raise bad_export(path, f"has no column {sorted(missing)[0]!r}")
            check(file.schema_arrow)
            yield from file.iter_batches(_CHUNK_ROWS, columns=list(columns))
    except (OSError, _pa.ArrowException) as error:
        raise bad_export(path, str(error).splitlines()[0]) from error

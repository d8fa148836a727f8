"""Deletes what no search may find any more: vectors first, rows after; a kill leaves only work to redo."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from searchkit.catalog import assets, segments, spaces
from searchkit.catalog.tables import SegmentState
from searchkit.errors import UnknownId
from searchkit.indexer.writer import Writer
from searchkit.types import FloatArray, IdArray, VectorStore

__all__ = ["forget", "refresh_moments", "sweep"]

_MOMENT_ROWS = 4096
_MOMENT_BLOCK = 256


def sweep(writer: Writer, *, stale_pending: bool = False) -> int:
    """Delete vectors and rows that no search may find; returns how many.

    Args:
        writer: the library, open for writing.
        stale_pending: also PENDING rows: only where no other worker can be recording, as they are a dead
            run's then.
    """
    catalog, swept = writer.library.catalog, 0
    for state in (SegmentState.DELETING, *([SegmentState.PENDING] if stale_pending else [])):
        while True:
            with catalog.read() as connection:
                part = segments.unsettled(connection, state)
            if not part:
                break
            by_collection: dict[int, list[int]] = {}
            for segment_id, collection_id in part:
                by_collection.setdefault(collection_id, []).append(segment_id)
            for collection_id, ids in by_collection.items():
                store = writer.store(collection_id)
                store.delete(ids)
                store.flush()
                writer.touched.add(collection_id)
            ids = [segment_id for segment_id, _ in part]
            catalog.write_again(lambda connection: segments.delete_segments(connection, ids))  # noqa: B023
            swept += len(part)
    return swept


def forget(writer: Writer, asset_ids: Iterable[int]) -> None:
    """Take assets out of all searches, delete their vectors, then the assets themselves."""
    ids = list(asset_ids)
    if not ids:
        return
    with writer.library.catalog.write() as connection:
        segments.mark_assets_deleting(connection, ids)
    sweep(writer)
    with writer.library.catalog.write() as connection:
        assets.delete_assets(connection, ids)


def refresh_moments(writer: Writer) -> None:
    """Keep mean and variance of each collection that changed, from up to some thousand of its rows."""
    catalog = writer.library.catalog
    for collection_id in sorted(writer.touched):
        with catalog.read() as connection:
            ids = segments.some_ready_ids(connection, collection_id, _MOMENT_ROWS)
        if not ids:
            continue
        try:
            mean, variance = _moments(writer.store(collection_id), np.array(ids, dtype=np.int64))
        except UnknownId:
            continue  # vectors are missing: `verify` says so, and a mean is no reason to end a run
        with catalog.write() as connection:
            spaces.set_moments(connection, collection_id, mean, variance, len(ids))
    writer.touched.clear()


def _moments(store: VectorStore, ids: IdArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance (dim,) of stored rows, a few at a time."""
    total, squares = np.zeros(store.dim), np.zeros(store.dim)
    for start in range(0, len(ids), _MOMENT_BLOCK):
        rows = store.fetch(ids[start : start + _MOMENT_BLOCK]).astype(np.float64)
        total += rows.sum(axis=0)
        squares += np.einsum("nd,nd->d", rows, rows)
    mean = total / len(ids)
    return mean.astype(np.float32), np.maximum(squares / len(ids) - mean**2, 0).astype(np.float32)

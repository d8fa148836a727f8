"""Tells stores that filter by themselves what the catalog knows of each segment's file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sqlalchemy import Connection

from searchkit.catalog import fields
from searchkit.stores import resolve_store
from searchkit.stores.conditions import FieldStore
from searchkit.types import IdArray, VectorStore

__all__ = ["set_fields_of", "stale_fields", "write_fields"]

_CHUNK_ROWS = 2048


def write_fields(
    connection: Connection, spec: str, store_of: Callable[[int], VectorStore], asset_ids: Sequence[int]
) -> None:
    """Write the fields of some assets' segments, as the transaction that is open has them.

    Called before it commits: no search may find a segment whose fields are not there, whereas fields that are
    ahead of the catalog hide nothing but what the same command, begun again, shows.

    Args:
        connection: the transaction.
        spec: which store; one that does not filter by itself is not opened.
        store_of: a collection's store, open for writing, by its key.
        asset_ids: the assets.
    """
    if not asset_ids or not resolve_store(spec).filters:
        return
    for collection_id, ids in fields.segments_of(connection, asset_ids).items():
        set_fields_of(connection, store_of(collection_id), np.array(ids, dtype=np.int64))


def set_fields_of(connection: Connection, store: VectorStore, ids: IdArray) -> None:
    """Write the fields of some segments to their store, if it takes any."""
    if not isinstance(store, FieldStore):
        return
    for start in range(0, len(ids), _CHUNK_ROWS):
        found = fields.fields_of(connection, ids[start : start + _CHUNK_ROWS].tolist())
        store.set_fields(list(found), list(found.values()))


def stale_fields(connection: Connection, store: VectorStore, ids: IdArray) -> IdArray:
    """Which of a collection's segments have other fields in their store than in the catalog."""
    stale: list[int] = []
    if isinstance(store, FieldStore):
        for start in range(0, len(ids), _CHUNK_ROWS):
            part = ids[start : start + _CHUNK_ROWS].tolist()
            known, stored = fields.fields_of(connection, part), store.fields(part)
            stale += [i for i in part if i in known and i in stored and known[i] != stored[i]]
    return np.array(stale, dtype=np.int64)

"""Checks a library: the catalog's file, and catalog against stores both ways; repairs what it can."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.catalog import segments, spaces
from searchkit.catalog.tables import SegmentState
from searchkit.errors import StoreError
from searchkit.indexer.fields import set_fields_of, stale_fields
from searchkit.indexer.sweep import sweep
from searchkit.indexer.writer import Writer
from searchkit.library import Library

__all__ = ["CollectionCheck", "VerifyReport", "verify"]


@dataclass(frozen=True, slots=True)
class CollectionCheck:
    """How one collection fared.

    Attributes:
        name: the collection.
        segments: READY rows in the catalog.
        vectors: rows in the store.
        missing: READY rows without a vector.
        orphans: vectors without a READY row.
        damage: what the store says of its own files, "" when it finds nothing.
        stale: vectors whose fields, by which the store filters, are not what the catalog says.
    """

    name: str
    segments: int
    vectors: int
    missing: int
    orphans: int
    damage: str = ""
    stale: int = 0

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not (self.missing or self.orphans or self.damage or self.stale)


@dataclass(slots=True)
class VerifyReport:
    """What a check found.

    Attributes:
        collections: one check each.
        unfinished: rows that a killed run left behind; harmless, the next run clears them.
        repaired: ``repair`` was asked for, and what could be repaired was.
        embed_again: files that the next run embeds again.
        dropped: what was damaged of the vector files, and is no longer there.
    """

    collections: list[CollectionCheck] = field(default_factory=list)
    unfinished: int = 0
    repaired: bool = False
    embed_again: int = 0
    dropped: list[str] = field(default_factory=list)
    library: Path = Path()

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.unfinished and all(check.clean for check in self.collections)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "clean": self.clean,
            "library": str(self.library),
            "unfinished": self.unfinished,
            "repaired": self.repaired,
            "embed_again": self.embed_again,
            "dropped": self.dropped,
            "collections": [
                {
                    "name": check.name,
                    "segments": check.segments,
                    "vectors": check.vectors,
                    "missing": check.missing,
                    "orphans": check.orphans,
                    "damage": check.damage,
                    "stale": check.stale,
                }
                for check in self.collections
            ],
        }


def verify(library: Library, *, repair: bool = False) -> VerifyReport:
    """Check that every READY segment has a vector, every vector a READY segment, and every file its checksum.

    Args:
        library: what to check.
        repair: drop damaged vector files, delete vectors without a segment, write fields that differ; the
            next run embeds files again that have lost vectors.

    Raises:
        CatalogCorrupt: the catalog's file is damaged.
        LibraryLocked: another process is writing to the library.
    """
    library.catalog.check_integrity()
    report = VerifyReport(library=library.folder)
    with library.catalog.read() as connection:
        states = (SegmentState.PENDING, SegmentState.DELETING)
        report.unfinished = sum(len(segments.unsettled(connection, state)) for state in states)
        known = spaces.spaces(connection)
        refs = [
            (ref, space) for space_id, space in known for ref in spaces.collections_of(connection, space_id)
        ]
    if repair:
        with Writer(library) as writer:
            for ref, space in refs:
                report.dropped += library.repair_store(ref, space.dim)
            sweep(writer, stale_pending=not library.is_shared)
            report.unfinished = 0
            for ref, _ in refs:
                report.embed_again += _repair(library, writer, ref.id)
            report.repaired = True
    for ref, space in refs:
        with library.catalog.read() as connection:
            ready = np.fromiter(segments.ready_ids(connection, ref.id), dtype=np.int64)
        try:
            store = library.open_store(ref, space.dim, read_only=True)
        except StoreError as error:
            report.collections.append(CollectionCheck(ref.name, len(ready), 0, len(ready), 0, str(error)))
            continue
        try:
            stored = store.ids()
            check = getattr(store, "verify", None)
            damage = "; ".join(check().problems) if check is not None else ""
            with library.catalog.read() as connection:
                stale = len(stale_fields(connection, store, ready))
            report.collections.append(
                CollectionCheck(
                    name=ref.name,
                    segments=len(ready),
                    vectors=len(stored),
                    missing=len(np.setdiff1d(ready, stored)),
                    orphans=len(np.setdiff1d(stored, ready)),
                    damage=damage,
                    stale=stale,
                )
            )
        finally:
            store.close()
    return report


def _repair(library: Library, writer: Writer, collection_id: int) -> int:
    store = writer.store(collection_id)
    with library.catalog.read() as connection:
        ready = np.fromiter(segments.ready_ids(connection, collection_id), dtype=np.int64)
    stored = store.ids()
    store.delete(np.setdiff1d(stored, ready))
    store.flush()
    with library.catalog.read() as connection:
        set_fields_of(connection, store, stale_fields(connection, store, ready))
    missing = np.setdiff1d(ready, stored).tolist()
    with library.catalog.write() as connection:
        affected = segments.forget_embeddings_of(connection, missing)
        for asset_id in affected:
            segments.mark_asset_deleting(connection, asset_id)
    return len(affected)

"""Writes vectors, with all that is needed to make a library of them again, as files for other programs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, true

from searchkit.catalog import segments, spaces, transfer
from searchkit.catalog.dialects import freeze
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.types import encode_path
from searchkit.errors import StoreCorrupt, UnknownId
from searchkit.indexer.moving.copying import Report
from searchkit.indexer.moving.formats import (
    Block,
    ExportedCollection,
    Manifest,
    Rows,
    format_named,
    write_manifest,
)
from searchkit.indexer.moving.landing import Landing
from searchkit.library import Library
from searchkit.query import Filter
from searchkit.types import Modality, Space

__all__ = ["ExportReport", "export_library"]

_CHUNK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported: where it is, how many files and segments, how many segments of each collection."""

    folder: Path
    kind: str
    assets: int
    segments: int
    collections: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "kind": self.kind,
            "assets": self.assets,
            "segments": self.segments,
            "collections": self.collections,
        }


def export_library(
    library: Library,
    folder: Path,
    *,
    kind: str,
    to: Sequence[Modality] | None = None,
    where: Filter | None = None,
    report: Report | None = None,
) -> ExportReport:
    """Export a library's vectors: ids, paths, spans, passages, and what is known of the files.

    Args:
        library: what to export.
        folder: a folder that does not exist yet, or is empty.
        kind: "parquet" or "npy".
        to: the modalities to export; None for all.
        where: the only files to export.
        report: told how far it is.

    Raises:
        UsageError: something is there already, or there is no such format.
        DependencyMissing: the extra ``parquet`` is not installed.
        StoreCorrupt: the library lacks vectors.
        DiskFull: the device is full; nothing stays.
    """
    tables = format_named(kind)
    landing = Landing(folder, "an export", hint="choose a folder that does not exist yet")
    with landing, library.catalog.read() as rows:
        freeze(rows)
        landing.begin({})
        try:
            asset_ids, names = set[int](), list[str]()
            exported = []
            for ref, space in _collections(rows, to):
                condition = true() if where is None else where.sql()
                ids = segments.ids_where(rows, ref.id, condition)
                blocks = _blocks(library, rows, ref, space, ids, asset_ids, report)
                names += tables.write_segments(landing.folder, ref.name, space, len(ids), blocks)
                exported.append(ExportedCollection(ref.name, space, ref.modality, ref.encoded_as, len(ids)))
            names += tables.write_assets(landing.folder, _asset_blocks(rows, sorted(asset_ids)))
            settings = library.settings
            manifest = Manifest(kind, settings.model, settings.decode, tuple(exported))
            write_manifest(landing.folder, manifest, names)
            landing.land()
        except BaseException:
            landing.give_up()
            raise
    counts = {each.name: each.rows for each in exported}
    return ExportReport(landing.place, kind, len(asset_ids), sum(counts.values()), counts)


def _collections(rows: Connection, to: Sequence[Modality] | None) -> list[tuple[CollectionRef, Space]]:
    return [
        (ref, space)
        for space_id, space in spaces.spaces(rows)
        for ref in spaces.collections_of(rows, space_id)
        if to is None or ref.modality in to
    ]


def _blocks(
    library: Library,
    rows: Connection,
    ref: CollectionRef,
    space: Space,
    ids: Sequence[int],
    asset_ids: set[int],
    report: Report | None,
) -> Iterator[Block]:
    with contextlib.closing(library.open_store(ref, space.dim, read_only=True)) as store:
        for start in range(0, len(ids), _CHUNK_ROWS):
            part = ids[start : start + _CHUNK_ROWS]
            try:
                vectors = store.fetch(part)
            except UnknownId as error:
                raise StoreCorrupt(
                    f"the library {library.folder} lacks vectors: {error}",
                    hint="searchkit verify --repair, then searchkit index",
                ) from error
            joined = segments.join(rows, part)
            asset_ids.update(row.asset_id for row in joined.values())
            yield [_segment(joined[segment_id]) for segment_id in part], vectors
            if report is not None:
                report(f"exporting {ref.name}", start + len(part), len(ids))


def _segment(row: segments.SegmentRow) -> dict[str, Any]:
    return {
        "segment_id": row.segment_id,
        "asset_id": row.asset_id,
        "path": encode_path(row.path),
        "ordinal": row.ordinal,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "text": row.text,
    }


def _asset_blocks(rows: Connection, asset_ids: Sequence[int]) -> Iterator[Rows]:
    for start in range(0, len(asset_ids), _CHUNK_ROWS):
        found = transfer.full_assets(rows, asset_ids[start : start + _CHUNK_ROWS])
        yield [
            {
                **row,
                "path": encode_path(row["path"]),
                "root": encode_path(row["root"]),
                "added_at": row["added_at"].isoformat(),
            }
            for row in found
        ]

"""Makes a library of an export: the same ids, files, spans and vectors, in any store."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, StatementError

from searchkit.catalog import Catalog, assets, spaces, transfer, words
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.tables import Asset, AssetTag, Embedding, Root, Segment, SegmentState
from searchkit.catalog.types import decode_path
from searchkit.config import Settings, save_settings
from searchkit.encoders import resolve_info
from searchkit.errors import InvalidVector, ModelNotFound, SearchkitError, UsageError
from searchkit.indexer.fields import set_fields_of
from searchkit.indexer.moving.copying import Report
from searchkit.indexer.moving.formats import (
    ExportedCollection,
    Format,
    Manifest,
    bad_export,
    format_named,
    read_manifest,
)
from searchkit.indexer.moving.landing import Landing
from searchkit.indexer.sweep import refresh_moments
from searchkit.indexer.writer import Writer
from searchkit.library import Library
from searchkit.stores import delete_collection, resolve_store

__all__ = ["ImportReport", "import_library"]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported: the new library's folder, how many files, how many segments."""

    library: Path
    assets: int
    segments: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"library": str(self.library), "assets": self.assets, "segments": self.segments}


def import_library(
    export: Path, target: Path, *, store: str = "faiss", report: Report | None = None
) -> ImportReport:
    """Make a library of what ``export_library`` wrote; files that are still as they were need no embedding.

    Args:
        export: the export's folder.
        target: the new library's folder, which must not exist, or be empty.
        store: where it keeps its vectors.
        report: told how far it is.

    Raises:
        UsageError: something is at the target, or the export is none, damaged, or contradicts itself.
        DependencyMissing: it is in Parquet and the extra ``parquet`` is not installed.
        DiskFull: the device is full; nothing stays.
    """
    if not resolve_store(store).keeps:
        raise UsageError(f"the store {store!r} keeps nothing", hint="choose another --store")
    landing = Landing(target, "an imported library", hint="choose a --library that does not exist yet")
    with landing:
        manifest = read_manifest(export)
        tables = format_named(manifest.kind)
        settings = Settings(
            library_id=secrets.token_hex(4), model=_model(manifest.model), store=store, decode=manifest.decode
        )
        landing.begin({})
        save_settings(landing.folder, settings)
        made = Library(landing.folder, settings, Catalog.open(landing.folder), read_only=False)
        try:
            with made, _named_errors(export):
                found = _fill(made, export, manifest, tables, report)
            landing.land()
        except BaseException:
            _delete_vectors(settings, landing.folder, manifest)
            landing.give_up()
            raise
    return ImportReport(landing.place, *found)


def _fill(
    made: Library, export: Path, manifest: Manifest, tables: Format, report: Report | None
) -> tuple[int, int]:
    sent = 0
    with Writer(made) as writer:
        with made.catalog.write() as connection:
            places = [_collection(connection, each) for each in manifest.collections]
            space_ids = {space.fingerprint: key for key, space in spaces.spaces(connection)}
            count = sum(_add_assets(connection, rows, space_ids) for rows in tables.read_assets(export))
        for each, ref in zip(manifest.collections, places, strict=True):
            store, start = writer.store(ref.id), sent
            for rows, vectors in tables.read_segments(export, each.name, each.space.dim):
                ids = [int(row["segment_id"]) for row in rows]
                with made.catalog.write() as connection:
                    transfer.insert_rows(connection, Segment, (_segment(row, ref) for row in rows))
                    store.upsert(np.array(ids, dtype=np.int64), vectors)
                    set_fields_of(connection, store, np.array(ids, dtype=np.int64))
                sent += len(ids)
                if report is not None:
                    report(f"importing {each.name}", sent - start, each.rows)
            store.flush()
            if sent - start != each.rows or len(store) != each.rows:
                raise bad_export(
                    export, f"{each.name} has {sent - start} rows, the manifest says {each.rows}"
                )
            writer.touched.add(ref.id)
        with made.catalog.write() as connection:
            words.catch_up(connection)
        refresh_moments(writer)
    return count, sent


def _collection(connection: Connection, given: ExportedCollection) -> CollectionRef:
    space_id = spaces.ensure_space(connection, given.space)
    ref = spaces.ensure_collection(connection, space_id, given.space, given.modality, given.encoded_as)
    if ref.name != given.name:
        raise UsageError(f"the collection {given.name!r} of the export should be called {ref.name!r}")
    return ref


def _add_assets(
    connection: Connection, rows: Iterable[Mapping[str, Any]], space_ids: Mapping[str, int]
) -> int:
    now, known = datetime.now(UTC), dict(assets.roots(connection))
    held, tags, embeddings = [], [], []
    for row in rows:
        columns = dict(row)
        root = decode_path(columns.pop("root"))
        if root not in known:
            transfer.insert_rows(connection, Root, [{"path": root, "added_at": now}])
            known = dict(assets.roots(connection))
        tags += [{"asset_id": row["id"], "tag": tag} for tag in columns.pop("tags")]
        for told in columns.pop("embeddings"):
            if (space_id := space_ids.get(told["space"])) is not None:
                kept = {name: told[name] for name in ("state", "content_hash", "recipe", "error")}
                embeddings.append({"asset_id": row["id"], "space_id": space_id, "updated_at": now, **kept})
        held.append(
            {
                **columns,
                "root_id": known[root],
                "path": decode_path(columns["path"]),
                "added_at": datetime.fromisoformat(columns["added_at"]),
            }
        )
    for table, filled in ((Asset, held), (AssetTag, tags), (Embedding, embeddings)):
        transfer.insert_rows(connection, table, filled)
    return len(held)


def _segment(row: Mapping[str, Any], ref: CollectionRef) -> dict[str, Any]:
    return {
        "id": int(row["segment_id"]),
        "asset_id": int(row["asset_id"]),
        "collection_id": ref.id,
        "state": SegmentState.READY.value,
        "ordinal": int(row["ordinal"]),
        "start_s": row["start_s"],
        "end_s": row["end_s"],
        "text": row["text"],
    }


def _model(name: str) -> str:
    """The model to search with: the exporting library's, where there is one of that name."""
    with contextlib.suppress(ModelNotFound):
        resolve_info(name)
        return name
    return Settings().model


@contextlib.contextmanager
def _named_errors(export: Path) -> Iterator[None]:
    """Turn what a malformed export leads to into one error that names it."""
    try:
        yield
    except InvalidVector as error:
        raise bad_export(export, f"holds a vector that is none: {error}") from error
    except SearchkitError:
        raise
    except IntegrityError as error:
        raise bad_export(export, f"contradicts itself: {error.orig}") from error
    except (StatementError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_export(export, f"has a row that does not fit: {str(error).splitlines()[0]}") from error


def _delete_vectors(settings: Settings, folder: Path, manifest: Manifest) -> None:
    """Take back what went to a server; what lies in the folder goes with it."""
    if resolve_store(settings.store).beside_catalog:
        return
    for each in manifest.collections:
        with contextlib.suppress(SearchkitError):
            name = f"{settings.library_id}.{each.name}"
            delete_collection(settings.store, root=folder, name=name)

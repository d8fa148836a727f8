"""Writes what was embedded, in the order that makes a kill at any point harmless.

The walk: commit PENDING rows; upsert vectors; flush; then, in one transaction, mark READY and the rows they
replace DELETING. What is DELETING, or PENDING from a run that died, is swept: vectors first, rows after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from searchkit.catalog import Catalog, assets, segments, spaces
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.tables import EmbeddingState, SegmentState
from searchkit.indexer.decode import Job, Opened
from searchkit.indexer.writer import Writer
from searchkit.media import Facts
from searchkit.types import FloatArray, Modality, Sample, Space, TextSample

__all__ = ["Embedded", "FileWork", "Recorder"]

_MEAN_ROWS = 4096


@dataclass(slots=True)
class FileWork:
    """A file on its way through the pipeline; ``asset_id`` is None until its first rows are written."""

    job: Job
    opened: Opened
    asset_id: int | None = None
    encoding: int = 0
    decoded: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """One embedded sample: what the rows need of it, and its vector (dim,)."""

    work: FileWork
    ordinal: int
    sample: Sample
    vector: FloatArray


@dataclass(slots=True)
class Recorder:
    """Writes to one library in one space.

    Args:
        writer: the library, locked for writing.
        space_id: the space's key in the catalog.
        space: the space itself.
        recipe: identity of the decoding settings.
        roots: paths and keys of the library's roots.
    """

    writer: Writer
    space_id: int
    space: Space
    recipe: str
    roots: Sequence[tuple[str, int]] = ()
    collections: dict[tuple[Modality, Modality], CollectionRef] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)

    @property
    def catalog(self) -> Catalog:
        """The library's catalog."""
        return self.writer.library.catalog

    def write(self, pieces: Sequence[Embedded], finished: Sequence[FileWork]) -> None:
        """Record vectors, and files all of whose vectors are among these or earlier ones.

        Raises:
            DiskFull: the device is full; what was recorded before stays.
        """
        with self.catalog.write() as connection:
            rows = []
            for piece in pieces:
                if piece.work.asset_id is None:
                    piece.work.asset_id = self._insert_asset(connection, piece.work.job, piece.work.opened)
                rows.append(self._row(connection, piece, piece.work.asset_id))
            ids = segments.insert_pending(connection, rows)
        by_collection: dict[int, list[int]] = {}
        for position, row in enumerate(rows):
            by_collection.setdefault(row.collection_id, []).append(position)
        for collection_id, positions in by_collection.items():
            store = self.writer.store(collection_id)
            store.upsert([ids[p] for p in positions], np.stack([pieces[p].vector for p in positions]))
            store.flush()
            self.touched.add(collection_id)
        with self.catalog.write() as connection:
            for work in finished:
                if work.asset_id is None:
                    raise RuntimeError(f"{work.job.found.path} is finished without a segment")
                assets.update_asset(connection, work.asset_id, _columns(work.job, work.opened))
                segments.mark_ready(connection, work.asset_id, self.space_id)
                assets.set_embedding(
                    connection,
                    work.asset_id,
                    self.space_id,
                    state=EmbeddingState.READY,
                    content_hash=work.opened.content_hash,
                    recipe=self.recipe,
                )

    def fail(self, job: Job, asset_id: int | None, reason: str) -> None:
        """Record that a file cannot be read; segments of its older content stay."""
        with self.catalog.write() as connection:
            key = asset_id if asset_id is not None else job.asset_id
            stat = {"size_bytes": job.found.size_bytes, "mtime_ns": job.found.mtime_ns}
            embedded_hash = None
            if key is None:
                key = self._insert(connection, job, {**stat, "date": _date(None, job.found.mtime_ns)})
            else:
                assets.update_asset(connection, key, stat)
                segments.mark_asset_deleting(connection, key, self.space_id, only_pending=True)
                embedded_hash = assets.embedded_hash(connection, key, self.space_id, self.recipe)
            assets.set_embedding(
                connection,
                key,
                self.space_id,
                state=EmbeddingState.FAILED,
                content_hash=embedded_hash,
                recipe=self.recipe,
                error=reason,
            )

    def skip(self, job: Job) -> None:
        """Record that a file is not media; segments of what it was before go."""
        with self.catalog.write() as connection:
            values = {
                "size_bytes": job.found.size_bytes,
                "mtime_ns": job.found.mtime_ns,
                "content_hash": None,
                "date": _date(None, job.found.mtime_ns),
                "modality": None,
                "mime": None,
            }
            if job.asset_id is None:
                key = self._insert(connection, job, values)
            else:
                key = job.asset_id
                assets.update_asset(connection, key, values)
                segments.mark_asset_deleting(connection, key, self.space_id)
            assets.set_embedding(
                connection,
                key,
                self.space_id,
                state=EmbeddingState.SKIPPED,
                content_hash=None,
                recipe=self.recipe,
            )

    def touch(self, job: Job) -> None:
        """Record a known file's new stat; its content is the one that is embedded."""
        if job.asset_id is None:
            raise RuntimeError(f"{job.found.path} is not known")
        with self.catalog.write() as connection:
            assets.touch_asset(
                connection, job.asset_id, size_bytes=job.found.size_bytes, mtime_ns=job.found.mtime_ns
            )
            assets.set_embedding(
                connection,
                job.asset_id,
                self.space_id,
                state=EmbeddingState.READY,
                content_hash=job.embedded_hash,
                recipe=self.recipe,
            )

    def sweep(self, *, stale_pending: bool = False) -> int:
        """Delete vectors and rows that no search may find; returns how many.

        Args:
            stale_pending: also PENDING rows: right before a run begins, when they are a dead run's.
        """
        swept = 0
        states = [SegmentState.DELETING, *([SegmentState.PENDING] if stale_pending else [])]
        for state in states:
            while True:
                with self.catalog.read() as connection:
                    part = segments.unsettled(connection, state)
                if not part:
                    break
                by_collection: dict[int, list[int]] = {}
                for segment_id, collection_id in part:
                    by_collection.setdefault(collection_id, []).append(segment_id)
                for collection_id, ids in by_collection.items():
                    store = self.writer.store(collection_id)
                    store.delete(ids)
                    store.flush()
                    self.touched.add(collection_id)
                with self.catalog.write() as connection:
                    segments.delete_segments(connection, (segment_id for segment_id, _ in part))
                swept += len(part)
        return swept

    def forget(self, asset_ids: Iterable[int]) -> None:
        """Take assets out of all searches, delete their vectors, then the assets themselves."""
        ids = list(asset_ids)
        if not ids:
            return
        with self.catalog.write() as connection:
            for asset_id in ids:
                segments.mark_asset_deleting(connection, asset_id)
        self.sweep()
        with self.catalog.write() as connection:
            assets.delete_assets(connection, ids)

    def refresh_means(self) -> None:
        """Keep the mean vector of each collection that changed, from up to some thousand of its rows."""
        for collection_id in sorted(self.touched):
            store = self.writer.store(collection_id)
            ids = store.ids()
            if len(ids) == 0:
                continue
            if len(ids) > _MEAN_ROWS:
                ids = np.sort(np.random.default_rng(0).choice(ids, _MEAN_ROWS, replace=False))
            mean = store.fetch(ids).mean(axis=0, dtype=np.float64).astype(np.float32)
            with self.catalog.write() as connection:
                spaces.set_mean(connection, collection_id, mean, len(ids))
        self.touched.clear()

    def _row(self, connection: Any, piece: Embedded, asset_id: int) -> segments.NewSegment:
        sample = piece.sample
        span = sample.span
        collection = self._collection(connection, piece.work.opened.media_type.modality, sample.modality)
        return segments.NewSegment(
            asset_id=asset_id,
            collection_id=collection.id,
            ordinal=piece.ordinal,
            start_s=span.start_s if span else None,
            end_s=span.end_s if span else None,
            text=sample.text if isinstance(sample, TextSample) else None,
        )

    def _insert_asset(self, connection: Any, job: Job, opened: Opened) -> int:
        if job.asset_id is not None:
            return job.asset_id
        return self._insert(connection, job, _columns(job, opened))

    def _insert(self, connection: Any, job: Job, values: Mapping[str, Any]) -> int:
        root_id = self.root_of(job.found.path)
        return assets.insert_asset(connection, root_id=root_id, path=job.found.path, values=values)

    def _collection(self, connection: Any, modality: Modality, encoded_as: Modality) -> CollectionRef:
        key = (modality, encoded_as)
        if key not in self.collections:
            self.collections[key] = spaces.ensure_collection(
                connection, self.space_id, self.space, modality, encoded_as
            )
        return self.collections[key]

    def root_of(self, path: str) -> int:
        """The key of the root that a path lies in."""
        return next(
            key for root, key in self.roots if path == root or path.startswith(root.rstrip("/") + "/")
        )


def _columns(job: Job, opened: Opened) -> dict[str, Any]:
    facts: Facts = opened.facts
    return {
        "modality": opened.media_type.modality.value,
        "mime": opened.media_type.mime,
        "size_bytes": job.found.size_bytes,
        "mtime_ns": job.found.mtime_ns,
        "content_hash": opened.content_hash,
        "date": _date(facts.taken_at, job.found.mtime_ns),
        "width_px": facts.width_px,
        "height_px": facts.height_px,
        "duration_s": facts.duration_s,
        "rate_hz": facts.rate_hz,
        "channels": facts.channels,
        "latitude": facts.latitude,
        "longitude": facts.longitude,
        "facts": facts.to_dict(),
    }


def _date(taken_at: str | None, mtime_ns: int) -> str:
    """When it was taken, else written: ISO 8601 without a zone, so that text order is time order."""
    if taken_at:
        return taken_at[:19]
    return datetime.fromtimestamp(mtime_ns / 1e9, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")

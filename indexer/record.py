"""Writes what became of files, in the order that makes a kill at any point harmless.

The walk: commit PENDING rows; upsert vectors; flush; then, in one transaction, mark READY, mark the rows they
replace DELETING, and take the files out of the queue. A worker whose job was taken over meanwhile, because it
gave no sign of life, finds so in its transactions, and its vectors go again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection

from searchkit.catalog import Catalog, assets, jobs, segments, spaces, words
from searchkit.catalog.assets import KnownAsset
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.tables import EmbeddingState
from searchkit.catalog.types import lies_below, storable
from searchkit.indexer.decode import Failed, Job, Opened, Skipped, Unchanged
from searchkit.indexer.scan import Unreadable
from searchkit.indexer.writer import Writer
from searchkit.media import Facts
from searchkit.types import FloatArray, Modality, Sample, Space, TextSample

__all__ = ["Embedded", "FileWork", "Outcome", "Recorder"]

Outcome: TypeAlias = Failed | Skipped | Unchanged


@dataclass(slots=True, eq=False)
class FileWork:
    """A file on its way through the pipeline.

    Attributes:
        job: the file.
        opened: what it holds.
        asset_id: its key, None until its first rows are written.
        encoding: pieces that are on their way through the encoder.
        decoded: all its pieces have come.
        failure: why it failed, None while it did not.
        vectors: (collection, segment) of what was written for it.
        described: its asset's row was made with what is known of it.
    """

    job: Job
    opened: Opened
    asset_id: int | None = None
    encoding: int = 0
    decoded: bool = False
    failure: str | None = None
    vectors: list[tuple[int, int]] = field(default_factory=list)
    described: bool = False


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
        writer: the library, open for writing.
        space_id: the space's key in the catalog.
        space: the space itself.
        recipe: identity of the decoding settings.
        owner: whose jobs are recorded.
    """

    writer: Writer
    space_id: int
    space: Space
    recipe: str
    owner: str = ""
    _collections: dict[tuple[Modality, Modality], CollectionRef] = field(default_factory=dict)
    _roots: list[tuple[str, int]] = field(default_factory=list)

    @property
    def catalog(self) -> Catalog:
        """The library's catalog."""
        return self.writer.library.catalog

    def write(
        self, pieces: Sequence[Embedded], finished: Sequence[FileWork], outcomes: Sequence[Outcome] = ()
    ) -> set[int]:
        """Record vectors, files all of whose vectors are among these or earlier ones, and other outcomes.

        Returns:
            The keys of the jobs that are recorded now; the others were taken over by somebody else.

        Raises:
            DiskFull: the device is full; what was recorded before stays.
        """
        if pieces:
            self._write_vectors(pieces)
        if not finished and not outcomes:
            return set()
        return self._settle(finished, outcomes)

    def note_unreadable(self, found: Sequence[tuple[Unreadable, KnownAsset | None]]) -> None:
        """Record what cannot be looked at; what is embedded of it stays, unless it is known to be gone."""
        if not found:
            return
        with self.catalog.write() as connection:
            unknown = [entry for entry, known in found if known is None]
            # A stat that no file has: whatever is seen there next time counts as changed.
            nothing = {"size_bytes": 0, "mtime_ns": 0}
            keys = self._insert(
                connection, [{"path": entry.path, **nothing, "date": _date(None, 0)} for entry in unknown]
            )
            assets.update_assets(connection, [{"id": known.id, **nothing} for _, known in found if known])
            away = [known.id for entry, known in found if known and not entry.is_there]
            segments.mark_assets_deleting(connection, away)
            rows = [
                self._embedding(key, EmbeddingState.FAILED, None, entry.reason)
                for key, entry in zip(keys, unknown, strict=True)
            ]
            for entry, known in found:
                if known is not None:
                    kept = known.embedded_hash if entry.is_there and known.recipe == self.recipe else None
                    rows.append(self._embedding(known.id, EmbeddingState.FAILED, kept, entry.reason))
            assets.set_embeddings(connection, self.space_id, rows)
            self.writer.write_fields(connection, [row["asset_id"] for row in rows])

    def root_of(self, connection: Connection, path: str) -> int:
        """The key of the root that a path lies in."""
        for again in (False, True):
            if again or not self._roots:
                self._roots = assets.roots(connection)
            for root, key in self._roots:
                if lies_below(path, root):
                    return key
        raise RuntimeError(f"{path} lies in no root")

    def _write_vectors(self, pieces: Sequence[Embedded]) -> None:
        held, rows, ids = self.catalog.write_again(lambda c: self._insert_pending(c, pieces))
        by_collection: dict[int, list[int]] = {}
        for position, row in enumerate(rows):
            by_collection.setdefault(row.collection_id, []).append(position)
            held[position].work.asset_id = row.asset_id
            held[position].work.vectors.append((row.collection_id, ids[position]))
        for collection_id, positions in by_collection.items():
            store = self.writer.store(collection_id)
            store.upsert([ids[p] for p in positions], np.stack([held[p].vector for p in positions]))
            store.flush()
            self.writer.touched.add(collection_id)

    def _insert_pending(
        self, connection: Connection, pieces: Sequence[Embedded]
    ) -> tuple[list[Embedded], list[segments.NewSegment], list[int]]:
        self._forget_keys()
        mine = jobs.held_jobs(connection, sorted({piece.work.job.id for piece in pieces}), self.owner)
        held = [piece for piece in pieces if piece.work.job.id in mine]
        keys = self._asset_keys(connection, list({id(piece.work): piece.work for piece in held}.values()))
        rows = [self._row(connection, piece, keys[id(piece.work)]) for piece in held]
        return held, rows, segments.insert_pending(connection, rows)

    def _forget_keys(self) -> None:
        """Where others write, too, a root may have been merged since, a collection's row rolled back."""
        if self.catalog.is_shared:
            self._collections.clear()
            self._roots.clear()

    def _asset_keys(self, connection: Connection, works: Sequence[FileWork]) -> dict[int, int]:
        """The assets' keys by the works' identities; unknown files become assets."""
        given = {id(work): work.asset_id or work.job.asset_id for work in works}
        there = assets.existing(connection, [key for key in given.values() if key is not None])
        keys = {work: key for work, key in given.items() if key in there and key is not None}
        unknown = [work for work in works if id(work) not in keys]
        known = assets.ids_of(connection, [work.job.found.path for work in unknown])
        fresh = [work for work in unknown if work.job.found.path not in known]
        rows = [{"path": work.job.found.path, **_columns(work.job, work.opened)} for work in fresh]
        keys |= {id(w): known[w.job.found.path] for w in unknown if w.job.found.path in known}
        keys |= zip(map(id, fresh), self._insert(connection, rows), strict=True)
        for work in unknown:
            work.described = work.job.found.path not in known
        return keys

    def _settle(self, finished: Sequence[FileWork], outcomes: Sequence[Outcome]) -> set[int]:
        mine = self.catalog.write_again(lambda connection: self._end(connection, finished, outcomes))
        lost = [vector for work in finished if work.job.id not in mine for vector in work.vectors]
        for collection_id, segment_id in lost:
            self.writer.store(collection_id).delete([segment_id])
        return mine

    def _end(
        self, connection: Connection, finished: Sequence[FileWork], outcomes: Sequence[Outcome]
    ) -> set[int]:
        self._forget_keys()
        ids = [work.job.id for work in finished] + [outcome.job.id for outcome in outcomes]
        mine = jobs.finish_jobs(connection, ids, self.owner)
        others = [outcome for outcome in outcomes if outcome.job.id in mine]
        same = [outcome.job for outcome in others if isinstance(outcome, Unchanged)]
        done = [work for work in finished if work.job.id in mine]
        if self.catalog.is_shared:  # another machine may have seen since that a file is gone
            keys = [work.asset_id for work in done] + [job.asset_id for job in same]
            there = assets.existing(connection, [key for key in keys if key is not None])
            done = [work for work in done if work.asset_id in there]
            same = [job for job in same if job.asset_id in there]
        ready = [work.asset_id for work in done if work.asset_id is not None]
        again = [work for work in done if not work.described]
        assets.update_assets(
            connection, [{"id": work.asset_id, **_columns(work.job, work.opened)} for work in again]
        )
        segments.mark_assets_ready(connection, ready, self.space_id)
        words.index_assets(connection, ready)
        rows = [
            self._embedding(work.asset_id, EmbeddingState.READY, work.opened.content_hash) for work in done
        ]
        rows += self._touch(connection, same)
        rows += self._skip(connection, [o.job for o in others if isinstance(o, Skipped)])
        rows += self._fail(connection, [o for o in others if isinstance(o, Failed)])
        assets.set_embeddings(connection, self.space_id, rows)
        self.writer.write_fields(connection, [row["asset_id"] for row in rows])
        return mine

    def _touch(self, connection: Connection, known: Sequence[Job]) -> list[dict[str, Any]]:
        """Files with a new stat whose content is the one that is embedded."""
        assets.update_assets(connection, [{"id": job.asset_id, **_stat(job)} for job in known])
        return [self._embedding(job.asset_id, EmbeddingState.READY, job.embedded_hash) for job in known]

    def _skip(self, connection: Connection, skipped: Sequence[Job]) -> list[dict[str, Any]]:
        """Files that are not media; segments of what they were before go."""
        nothing = {"content_hash": None, "modality": None, "mime": None}
        keys = self._upsert(connection, skipped, nothing)
        segments.mark_assets_deleting(connection, keys, self.space_id)
        return [self._embedding(key, EmbeddingState.SKIPPED, None) for key in keys]

    def _fail(self, connection: Connection, failed: Sequence[Failed]) -> list[dict[str, Any]]:
        """Files that cannot be read; segments of their older content stay."""
        keys = self._upsert(connection, [failure.job for failure in failed], {})
        segments.mark_assets_deleting(connection, keys, self.space_id, only_pending=True)
        return [
            self._embedding(key, EmbeddingState.FAILED, failure.job.embedded_hash, failure.reason)
            for key, failure in zip(keys, failed, strict=True)
        ]

    def _upsert(self, connection: Connection, found: Sequence[Job], values: Mapping[str, Any]) -> list[int]:
        """Assets of files of which there is nothing but a stat to tell; their keys, in order."""
        known = assets.ids_of(connection, [job.found.path for job in found])
        fresh = [job for job in found if job.found.path not in known]
        assets.update_assets(
            connection,
            [
                {"id": known[job.found.path], **_stat(job), **values}
                for job in found
                if job.found.path in known
            ],
        )
        dated = [
            {"path": job.found.path, "date": _date(None, job.found.mtime_ns), **_stat(job)} for job in fresh
        ]
        inserted = self._insert(connection, dated)
        known.update(zip((job.found.path for job in fresh), inserted, strict=True))
        return [known[job.found.path] for job in found]

    def _insert(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        return assets.insert_assets(
            connection, [{"root_id": self.root_of(connection, row["path"]), **row} for row in rows]
        )

    def _embedding(
        self, asset_id: int | None, state: EmbeddingState, content_hash: str | None, error: str | None = None
    ) -> dict[str, Any]:
        return {
            "asset_id": asset_id,
            "state": state.value,
            "content_hash": content_hash,
            "recipe": self.recipe,
            "error": storable(error),
        }

    def _row(self, connection: Connection, piece: Embedded, asset_id: int) -> segments.NewSegment:
        sample = piece.sample
        span = sample.span
        modality = piece.work.opened.media_type.modality
        key = (modality, sample.modality)
        if key not in self._collections:
            self._collections[key] = spaces.ensure_collection(
                connection, self.space_id, self.space, modality, sample.modality
            )
        return segments.NewSegment(
            asset_id=asset_id,
            collection_id=self._collections[key].id,
            ordinal=piece.ordinal,
            start_s=span.start_s if span else None,
            end_s=span.end_s if span else None,
            text=storable(sample.text) if isinstance(sample, TextSample) else None,
        )


def _stat(job: Job) -> dict[str, Any]:
    return {"size_bytes": job.found.size_bytes, "mtime_ns": job.found.mtime_ns}


def _columns(job: Job, opened: Opened) -> dict[str, Any]:
    facts: Facts = opened.facts
    return {
        **_stat(job),
        "modality": opened.media_type.modality.value,
        "mime": opened.media_type.mime,
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
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, tz=UTC).isoformat(timespec="seconds")[:19]
    except (OverflowError, ValueError, OSError):  # a file system may hold years that a calendar does not
        return "9999-12-31T23:59:59" if mtime_ns > 0 else "0001-01-01T00:00:00"

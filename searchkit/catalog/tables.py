"""The catalog's tables, as typed mappings; it knows no vectors and no files beyond their names and facts.

One asset is one file. One segment is one embedded thing: a whole file or a span of it; its id is the vector's
id in the store and is never used twice. An embedding row says which content of an asset is embedded in a
space, or why it is not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from searchkit.catalog.types import BigId, PathText, UtcTime

__all__ = [
    "Asset",
    "AssetTag",
    "AssetWords",
    "Base",
    "Collection",
    "Embedding",
    "EmbeddingState",
    "Job",
    "Root",
    "Run",
    "RunState",
    "SavedQuery",
    "Segment",
    "SegmentState",
    "SharedSetting",
    "SpaceRow",
]

_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class SegmentState(StrEnum):
    """PENDING: its vector may not be there yet. READY: found by searches. DELETING: its vector must go."""

    PENDING = "pending"
    READY = "ready"
    DELETING = "deleting"


class EmbeddingState(StrEnum):
    """READY: found by searches. FAILED: the last try failed, older segments stay. SKIPPED: not media."""

    READY = "ready"
    FAILED = "failed"
    SKIPPED = "skipped"


class RunState(StrEnum):
    """How an index run ended; a RUNNING row whose process is gone was killed."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Base(DeclarativeBase):
    """Holds the metadata of all tables."""

    metadata = MetaData(naming_convention=_CONVENTION)


class Root(Base):
    """A folder, or a single file, that was asked to be indexed."""

    __tablename__ = "roots"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    path: Mapped[str] = mapped_column(PathText, unique=True)
    added_at: Mapped[datetime] = mapped_column(UtcTime)


class Asset(Base):
    """A file: where it lies, what it looked like when it was last read, and the facts found in it."""

    __tablename__ = "assets"
    __table_args__ = (Index("ix_assets_content_hash", "content_hash"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    root_id: Mapped[int] = mapped_column(BigId, ForeignKey("roots.id"), index=True)
    path: Mapped[str] = mapped_column(PathText, unique=True)
    modality: Mapped[str | None] = mapped_column(String(16))
    mime: Mapped[str | None] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[str | None] = mapped_column(String(64))
    date: Mapped[str] = mapped_column(String(32))
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    duration_s: Mapped[float | None]
    rate_hz: Mapped[int | None]
    channels: Mapped[int | None]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    added_at: Mapped[datetime] = mapped_column(UtcTime)


class AssetTag(Base):
    """A word that a person put on an asset."""

    __tablename__ = "asset_tags"

    asset_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    tag: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)


class AssetWords(Base):
    """What an asset is called, for searches by word: its names as typed (case folded) and split into words.

    The index of these words, and of the passages in ``segments.text``, is the database's own: full-text
    tables that triggers fill in SQLite, indexes on expressions in PostgreSQL; see their revision.
    """

    __tablename__ = "asset_words"

    asset_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    file_name: Mapped[str] = mapped_column(index=True)
    stem: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    folder: Mapped[str]
    title: Mapped[str]


class SavedQuery(Base):
    """A query under a name, with the modalities, the filter and the prompts that it was saved with."""

    __tablename__ = "saved_queries"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    source: Mapped[str]
    modalities: Mapped[str | None] = mapped_column(String(100))
    filter: Mapped[str | None]
    prompts: Mapped[list[str]] = mapped_column(JSON, default=list)
    saved_at: Mapped[datetime] = mapped_column(UtcTime)


class SpaceRow(Base):
    """A space that this library holds vectors of."""

    __tablename__ = "spaces"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32), unique=True)
    encoder: Mapped[str] = mapped_column(String(100))
    revision: Mapped[str] = mapped_column(String(200))
    preprocessing: Mapped[str] = mapped_column(String(2000))
    dim: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class Collection(Base):
    """The vectors of one modality in one space; a video's frames and its sound are two collections.

    ``mean`` and ``variance`` are those of each dimension, (dim,) float32 bytes, from ``mean_rows``: up to
    some thousand of its rows.
    """

    __tablename__ = "collections"
    __table_args__ = (
        UniqueConstraint("space_id", "modality", "encoded_as"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    space_id: Mapped[int] = mapped_column(BigId, ForeignKey("spaces.id"))
    modality: Mapped[str] = mapped_column(String(16))
    encoded_as: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(200), unique=True)
    mean: Mapped[bytes | None] = mapped_column(LargeBinary)
    variance: Mapped[bytes | None] = mapped_column(LargeBinary)
    mean_rows: Mapped[int] = mapped_column(default=0)


class Segment(Base):
    """What is embedded: a whole asset (no span) or the part ``[start_s, end_s)`` or passage of it."""

    __tablename__ = "segments"
    __table_args__ = (
        Index("ix_segments_asset_id", "asset_id", "collection_id"),
        Index("ix_segments_collection_id", "collection_id", "state"),
        Index("ix_segments_state", "state"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    asset_id: Mapped[int] = mapped_column(BigId, ForeignKey("assets.id"))
    collection_id: Mapped[int] = mapped_column(BigId, ForeignKey("collections.id"))
    state: Mapped[str] = mapped_column(String(16))
    ordinal: Mapped[int]
    start_s: Mapped[float | None]
    end_s: Mapped[float | None]
    text: Mapped[str | None]


class Embedding(Base):
    """Which content of an asset is embedded in a space and by which decoding recipe, or why it is not."""

    __tablename__ = "embeddings"

    asset_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    space_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("spaces.id"), primary_key=True, autoincrement=False
    )
    state: Mapped[str] = mapped_column(String(16), index=True)
    content_hash: Mapped[str | None] = mapped_column(String(64))
    recipe: Mapped[str] = mapped_column(String(64))
    error: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class Job(Base):
    """A file that waits to be embedded in a space; it goes when the file is recorded, whatever became of it.

    ``owner`` is the worker that took it, whose right to it ends at ``lease_until`` (seconds since 1970 by the
    database's clock; 0 while nobody has it). ``attempts`` counts how often it was taken.
    """

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("space_id", "path"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    space_id: Mapped[int] = mapped_column(BigId, ForeignKey("spaces.id"))
    path: Mapped[str] = mapped_column(PathText)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[float] = mapped_column(Double, default=0.0)
    attempts: Mapped[int] = mapped_column(default=0)


class SharedSetting(Base):
    """A setting that all machines which share a catalog must agree on, such as where its vectors are."""

    __tablename__ = "shared_settings"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[str]


class Run(Base):
    """One run of the indexer; ``seen_at`` is when its process last gave a sign of life."""

    __tablename__ = "runs"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcTime)
    state: Mapped[str] = mapped_column(String(16))
    pid: Mapped[int]
    host: Mapped[str] = mapped_column(String(200))
    space_id: Mapped[int] = mapped_column(BigId, ForeignKey("spaces.id"))
    roots: Mapped[list[str]] = mapped_column(JSON)
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    error: Mapped[str | None]

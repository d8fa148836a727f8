"""The first schema: roots, assets, segments, spaces, collections, embeddings, tags, runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PathText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "roots",
        sa.Column("id", BigId, nullable=False),
        sa.Column("path", PathText, nullable=False),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roots"),
        sa.UniqueConstraint("path", name="uq_roots_path"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "spaces",
        sa.Column("id", BigId, nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("encoder", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.String(length=200), nullable=False),
        sa.Column("preprocessing", sa.String(length=2000), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spaces"),
        sa.UniqueConstraint("fingerprint", name="uq_spaces_fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "assets",
        sa.Column("id", BigId, nullable=False),
        sa.Column("root_id", BigId, nullable=False),
        sa.Column("path", PathText, nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("mime", sa.String(length=100), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("date", sa.String(length=32), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=True),
        sa.Column("height_px", sa.Integer(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("rate_hz", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name="fk_assets_root_id"),
        sa.PrimaryKeyConstraint("id", name="pk_assets"),
        sa.UniqueConstraint("path", name="uq_assets_path"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_assets_content_hash", "assets", ["content_hash"], unique=False)
    op.create_index("ix_assets_root_id", "assets", ["root_id"], unique=False)
    op.create_table(
        "collections",
        sa.Column("id", BigId, nullable=False),
        sa.Column("space_id", BigId, nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("encoded_as", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("mean", sa.LargeBinary(), nullable=True),
        sa.Column("mean_rows", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name="fk_collections_space_id"),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
        sa.UniqueConstraint("name", name="uq_collections_name"),
        sa.UniqueConstraint("space_id", "modality", "encoded_as", name="uq_collections_space_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", BigId, nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("space_id", BigId, nullable=False),
        sa.Column("roots", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name="fk_runs_space_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "asset_tags",
        sa.Column("asset_id", BigId, autoincrement=False, nullable=False),
        sa.Column("tag", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name="fk_asset_tags_asset_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "tag", name="pk_asset_tags"),
    )
    op.create_index("ix_asset_tags_tag", "asset_tags", ["tag"], unique=False)
    op.create_table(
        "embeddings",
        sa.Column("asset_id", BigId, autoincrement=False, nullable=False),
        sa.Column("space_id", BigId, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name="fk_embeddings_asset_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name="fk_embeddings_space_id"),
        sa.PrimaryKeyConstraint("asset_id", "space_id", name="pk_embeddings"),
    )
    op.create_index("ix_embeddings_state", "embeddings", ["state"], unique=False)
    op.create_table(
        "segments",
        sa.Column("id", BigId, nullable=False),
        sa.Column("asset_id", BigId, nullable=False),
        sa.Column("collection_id", BigId, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=True),
        sa.Column("end_s", sa.Double(), nullable=True),
        sa.Column("text", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_segments_asset_id"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name="fk_segments_collection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_segments_asset_id", "segments", ["asset_id", "collection_id"], unique=False)
    op.create_index("ix_segments_collection_id", "segments", ["collection_id", "state"], unique=False)
    op.create_index("ix_segments_state", "segments", ["state"], unique=False)

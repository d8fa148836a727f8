"""Searchable words of names and passages, and saved queries.

SQLite keeps the indexes of words up to date with triggers on ``asset_words`` and ``segments``: a later
revision that makes one of these tables anew (as batch mode does) has to make its triggers anew, too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SQLITE = (
    """CREATE VIRTUAL TABLE asset_words_fts USING fts5(
        name, folder, title, content='asset_words', content_rowid='asset_id',
        tokenize='porter unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER asset_words_inserted AFTER INSERT ON asset_words BEGIN
        INSERT INTO asset_words_fts (rowid, name, folder, title)
        VALUES (new.asset_id, new.name, new.folder, new.title);
    END""",
    """CREATE TRIGGER asset_words_deleted AFTER DELETE ON asset_words BEGIN
        INSERT INTO asset_words_fts (asset_words_fts, rowid, name, folder, title)
        VALUES ('delete', old.asset_id, old.name, old.folder, old.title);
    END""",
    "CREATE VIEW passages AS SELECT id, text FROM segments WHERE text IS NOT NULL",
    """CREATE VIRTUAL TABLE passages_fts USING fts5(
        text, content='passages', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER segments_inserted AFTER INSERT ON segments WHEN new.text IS NOT NULL BEGIN
        INSERT INTO passages_fts (rowid, text) VALUES (new.id, new.text);
    END""",
    """CREATE TRIGGER segments_deleted AFTER DELETE ON segments WHEN old.text IS NOT NULL BEGIN
        INSERT INTO passages_fts (passages_fts, rowid, text) VALUES ('delete', old.id, old.text);
    END""",
    "INSERT INTO passages_fts (passages_fts) VALUES ('rebuild')",
)

_POSTGRESQL = (
    """CREATE INDEX ix_asset_words_fts ON asset_words USING gin ((
        setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('english', folder), 'C')))""",
    """CREATE INDEX ix_passages_fts ON segments USING gin (to_tsvector('english', text))
        WHERE text IS NOT NULL""",
)


def upgrade() -> None:
    op.create_table(
        "asset_words",
        sa.Column("asset_id", BigId, autoincrement=False, nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("stem", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name="fk_asset_words_asset_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", name="pk_asset_words"),
    )
    op.create_index("ix_asset_words_file_name", "asset_words", ["file_name"], unique=False)
    op.create_index("ix_asset_words_stem", "asset_words", ["stem"], unique=False)
    op.create_table(
        "saved_queries",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("modalities", sa.String(length=100), nullable=True),
        sa.Column("filter", sa.String(), nullable=True),
        sa.Column("prompts", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_saved_queries"),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)

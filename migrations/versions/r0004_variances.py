"""The variance of each dimension beside a collection's mean; the next run that changes one fills it in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("collections", sa.Column("variance", sa.LargeBinary(), nullable=True))

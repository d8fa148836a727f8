"""Alembic migrations of the catalog; importing this package does not import alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["HEAD", "REVISIONS", "upgrade"]

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every schema revision, oldest first."""

HEAD = REVISIONS[-1]
"""The revision that this version of searchkit reads and writes."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring a database to a revision, inside the connection's open transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)

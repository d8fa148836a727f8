"""Verbs on what all machines that share a catalog must agree on."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from searchkit.catalog.dialects import insert_if_absent
from searchkit.catalog.tables import SharedSetting

__all__ = ["agree"]


def agree(connection: Connection, values: Mapping[str, str]) -> dict[str, str]:
    """Settings by name as all users of the catalog have them: the first one to say anything decides."""
    rows = [{"name": name, "value": value} for name, value in values.items()]
    connection.execute(insert_if_absent(connection, SharedSetting), rows)
    found = connection.execute(select(SharedSetting.name, SharedSetting.value))
    return {row.name: row.value for row in found}

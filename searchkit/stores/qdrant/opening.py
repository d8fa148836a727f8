"""What the table of stores calls for ``qdrant+local``, ``qdrant`` and ``qdrants``; and aliases."""

from __future__ import annotations

from pathlib import Path

from qdrant_client import models

from searchkit.stores.qdrant.client import Connection, connect
from searchkit.stores.qdrant.settings import QdrantSettings, parse_spec
from searchkit.stores.qdrant.store import QdrantStore

__all__ = ["delete_collection", "open_collection", "switch_alias"]


def open_collection(spec: str, root: Path, name: str, dim: int, read_only: bool) -> QdrantStore:
    """Open the collection, or the alias, called ``name`` after the spec's prefix and a dash."""
    del root
    settings = parse_spec(spec)
    connection = connect(settings)
    try:
        return QdrantStore(connection, _joined(settings, name), dim, read_only=read_only)
    except BaseException:
        connection.release()
        raise


def delete_collection(spec: str, root: Path, name: str) -> None:
    """Delete the collection called ``name`` after the spec's prefix and a dash."""
    del root
    settings = parse_spec(spec)
    connection = connect(settings)
    try:
        connection.call("delete_collection", collection_name=_joined(settings, name))
    finally:
        connection.release()


def switch_alias(spec: str, *, alias: str, name: str) -> None:
    """Make an alias stand for a collection, in one step: searches see the old one or the new one.

    A collection that is rebuilt gets a name of its own, is filled, and takes over the alias that is opened.

    Raises:
        StoreError: there is no such collection, or the server did not answer.
    """
    settings = parse_spec(spec)
    connection = connect(settings)
    try:
        _switch(connection, _joined(settings, alias), _joined(settings, name))
    finally:
        connection.release()


def _switch(connection: Connection, alias: str, name: str) -> None:
    known = connection.call("get_aliases").aliases
    operations: list[
        models.CreateAliasOperation | models.RenameAliasOperation | models.DeleteAliasOperation
    ] = []
    if any(each.alias_name == alias for each in known):
        operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
    create = models.CreateAlias(collection_name=name, alias_name=alias)
    operations.append(models.CreateAliasOperation(create_alias=create))
    connection.call("update_collection_aliases", change_aliases_operations=operations)


def _joined(settings: QdrantSettings, name: str) -> str:
    return f"{settings.prefix}-{name}" if settings.prefix else name

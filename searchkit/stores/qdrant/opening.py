"""What the table of stores calls for ``qdrant+local``, ``qdrant`` and ``qdrants``."""

from __future__ import annotations

from pathlib import Path

from searchkit.stores.qdrant.client import connect, explained
from searchkit.stores.qdrant.store import QdrantStore

__all__ = ["delete_collection", "open_collection"]


def open_collection(spec: str, root: Path, name: str, dim: int, read_only: bool) -> QdrantStore:
    """Open the collection called ``name``, after the spec's prefix and a dash."""
    del root
    connection, prefix = connect(spec)
    try:
        return QdrantStore(connection, joined(prefix, name), dim, read_only=read_only)
    except BaseException:
        connection.release()
        raise


def delete_collection(spec: str, root: Path, name: str) -> None:
    """Delete the collection called ``name``, after the spec's prefix and a dash."""
    del root
    connection, prefix = connect(spec)
    try:
        with connection.mutex, explained(connection.place):
            connection.client.delete_collection(joined(prefix, name))
    finally:
        connection.release()


def joined(prefix: str, name: str) -> str:
    """What a collection is called on the server."""
    return f"{prefix}-{name}" if prefix else name

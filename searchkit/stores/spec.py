"""The table of stores and how a store spec becomes one; it imports a store only when it is opened.

==========================  ======================================================================
spec                        where the vectors are
==========================  ======================================================================
``faiss``                   files in ``root/name`` (the default)
``faiss+gpu``               the same files, scanned on a GPU where there is one (extra ``gpu``)
``exact``                   in memory, gone when closed; the oracle of the tests
``qdrant+local:PATH``       qdrant-client's own files in PATH; for tests and a few thousand vectors
``qdrant://HOST[:PORT]``    a Qdrant server; ``qdrants://`` for TLS
==========================  ======================================================================
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchkit.errors import DependencyMissing, StoreError, UsageError
from searchkit.types import VectorStore

__all__ = [
    "DEFAULT_STORE",
    "STORES",
    "StoreInfo",
    "delete_collection",
    "open_collection",
    "repair_collection",
    "resolve_store",
]

DEFAULT_STORE = "faiss"


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What is known of a store without importing it.

    Attributes:
        scheme: the spec up to its first colon.
        module: import path of a module with ``open_collection`` and ``delete_collection``, which take
            ``(rest, root, name)`` (and dim, read_only), rest being the spec after its scheme.
        summary: one line for people.
        takes_place: whether something must follow the scheme.
        keeps: whether vectors are there again when it is opened anew.
        filters: whether it is a FieldStore, which filters by fields that are kept beside the vectors.
        package: what has to be installed, "" for nothing.
        extra: the optional dependency that installs it.
    """

    scheme: str
    module: str
    summary: str
    takes_place: bool = False
    keeps: bool = True
    filters: bool = False
    package: str = ""
    extra: str = ""

    @property
    def beside_catalog(self) -> bool:
        """Whether collections lie in the library's own folder."""
        return not self.takes_place


STORES: Mapping[str, StoreInfo] = MappingProxyType(
    {
        info.scheme: info
        for info in (
            *(
                StoreInfo(scheme, "searchkit.stores.faiss.opening", summary)
                for scheme, summary in (
                    ("faiss", "files beside the catalog (the default)"),
                    ("faiss+gpu", "the same files, rows also on a GPU"),
                )
            ),
            StoreInfo(
                "exact", "searchkit.stores.exact", "in memory, every row scored; for tests", keeps=False
            ),
            *(
                StoreInfo(
                    scheme,
                    "searchkit.stores.qdrant.opening",
                    summary,
                    takes_place=True,
                    filters=True,
                    package="qdrant-client",
                    extra="qdrant",
                )
                for scheme, summary in (
                    ("qdrant+local", "Qdrant's Python files in a folder; for tests"),
                    ("qdrant", "a Qdrant server"),
                    ("qdrants", "a Qdrant server, over TLS"),
                )
            ),
        )
    }
)


def resolve_store(spec: str) -> StoreInfo:
    """The table's row for a spec.

    Raises:
        UsageError: there is no such store, or the spec lacks its place.
    """
    scheme, _, place = spec.partition(":")
    info = STORES.get(scheme)
    if info is None:
        raise UsageError(f"there is no store {spec!r}", hint=f"known stores: {', '.join(STORES)}")
    if info.takes_place != bool(place.strip("/")):
        wanted = (
            "needs a place after it, as in qdrant://localhost:6333" if info.takes_place else "takes no place"
        )
        raise UsageError(f"the store {scheme!r} {wanted}, got {spec!r}")
    return info


def open_collection(spec: str, *, root: Path, name: str, dim: int, read_only: bool = False) -> VectorStore:
    """Open a collection, or make it when it is not there yet (a read-only one then stays empty).

    Args:
        spec: which store, as in the table above.
        root: folder of the library's collections; used by stores that keep files beside the catalog.
        name: the collection, such as "mini-1024-ab12cd34.image"; on a server, unique to the library.
        dim: length of a vector.
        read_only: refuse writes and take no lock.

    Raises:
        UsageError: the spec or the name is malformed.
        DependencyMissing: the store's package is not installed.
        StoreError: the collection cannot be opened (locked, damaged, of another dim, unreachable).
    """
    module = _module(spec, name)
    try:
        store: VectorStore = module.open_collection(spec, root, name, dim, read_only)
    except PermissionError as error:
        raise StoreError(
            f"{error.filename or root / name}: permission denied", hint="check the permissions of the library"
        ) from error
    return store


def delete_collection(spec: str, *, root: Path, name: str) -> None:
    """Delete a collection with all its vectors; one that does not exist is fine.

    Raises:
        StoreLocked: another process is writing to it.
        StoreError: it cannot be deleted.
    """
    _module(spec, name).delete_collection(spec, root, name)


def repair_collection(spec: str, *, root: Path, name: str, dim: int) -> list[str]:
    """Drop what is damaged of a collection's own files, so that it can be opened and written to.

    Returns:
        What was damaged, one sentence each, naming the file; nothing for stores on servers.

    Raises:
        StoreLocked: another process is writing to it.
    """
    repair = getattr(_module(spec, name), "repair_collection", None)
    return [] if repair is None else list(repair(spec, root, name, dim))


def _module(spec: str, name: str) -> Any:
    info = resolve_store(spec)
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise UsageError(f"a collection's name cannot be {name!r}")
    try:
        return importlib.import_module(info.module)
    except ModuleNotFoundError as error:
        if info.package and error.name and not error.name.startswith("searchkit"):
            raise DependencyMissing(info.package, info.extra) from error
        raise

"""A library: one folder with a catalog and the vectors of what it lists; it reads, the indexer writes."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from searchkit.catalog import CATALOG_FILE, Catalog, assets, tags
from searchkit.catalog.assets import FileError
from searchkit.catalog.types import is_storable
from searchkit.config import SETTINGS_FILE, Settings, default_library, load_settings, save_new_settings
from searchkit.durable import disk_full_guard
from searchkit.encoders import resolve_info
from searchkit.errors import LibraryError, LibraryNotFound, UsageError, reason_of
from searchkit.query import Filter, parse_filter
from searchkit.query.search import parse_modalities
from searchkit.reader import LibraryReader
from searchkit.status import LibraryStatus, read_status
from searchkit.stores import resolve_store
from searchkit.types import Modality, VectorStore, strings

if TYPE_CHECKING:
    from searchkit.indexer import IndexReport, Progress, RayOptions, VerifyReport
    from searchkit.indexer.moving import CopyReport, ExportReport

__all__ = ["Library", "import_library", "open_library"]


def open_library(
    folder: str | Path | None = None,
    *,
    create: bool = True,
    read_only: bool = False,
    model: str | None = None,
    model_dir: str | Path | None = None,
    store: str | None = None,
    **settings: Any,
) -> Library:
    """Open a library, made when there is none.

    Args:
        folder: where it lies; None for ``SEARCHKIT_LIBRARY`` or the user's data folder.
        create: make it when it is not there.
        read_only: refuse to change it.
        model: encoder to search and index with, when it is not the one that the library was made with.
        model_dir: where the encoder's files lie.
        store: where vectors live; fixed when the library is made.
        **settings: other fields of ``searchkit.config.Settings``.

    Raises:
        LibraryNotFound: there is none and ``create`` is False.
        LibraryError: it cannot be made there, or its settings cannot be read.
        LibraryTooNew: a later version of searchkit wrote it.
        CatalogCorrupt: its catalog is damaged.
        ModelNotFound: there is no such encoder.
    """
    path = (Path(folder).expanduser() if folder is not None else default_library()).absolute()
    given = {"model": model, "model_dir": model_dir, "store": store, **settings}
    chosen = load_settings(path, given)
    resolve_info(chosen.model)
    exists = (path / (SETTINGS_FILE if chosen.catalog else CATALOG_FILE)).exists()
    if not exists:
        if not create or read_only:
            raise LibraryNotFound(f"there is no library at {path}", hint="searchkit index FOLDER makes one")
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file, a library is a folder", hint="choose another --library")
        resolve_store(chosen.store)
        _make_folder(path)
        if not (path / SETTINGS_FILE).exists():
            chosen = replace(chosen, library_id=secrets.token_hex(4))
            if not chosen.catalog:
                save_new_settings(path, chosen)
    elif store is not None and store != (made_with := load_settings(path).store):
        raise UsageError(
            f"the library {path} keeps its vectors in {made_with!r}, not in {store!r}",
            hint="leave --store out, or choose another --library",
        )
    if chosen.catalog and (path / CATALOG_FILE).exists():
        raise UsageError(
            f"the library {path} keeps its catalog in a file",
            hint="leave --catalog out, or choose another --library",
        )
    catalog = Catalog.open(path, chosen.catalog)
    if not exists and chosen.catalog:
        chosen = _join(path, catalog, chosen, model=model, store=store)
    return Library(path, chosen, catalog, read_only=read_only)


def _make_folder(path: Path) -> None:
    try:
        with disk_full_guard(path):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(
            f"the library {path} cannot be made: {reason_of(error)}",
            hint="choose another place: --library DIR, or SEARCHKIT_LIBRARY",
        ) from error


def import_library(
    export: str | Path,
    folder: str | Path,
    *,
    store: str = "faiss",
    progress: Callable[[str, int, int], None] | None = None,
) -> Library:
    """Make a library of what ``Library.export`` wrote, and open it.

    Args:
        export: the export's folder.
        folder: the new library's folder, which must not exist, or be empty.
        store: where it keeps its vectors.
        progress: told what is being imported, how much of it is done, and how much there is.

    Raises:
        UsageError: something is at the folder, or the export is none, damaged, or contradicts itself.
        DependencyMissing: it is in Parquet and the extra ``parquet`` is not installed.
    """
    from searchkit.indexer.moving import import_library

    made = import_library(Path(export).expanduser(), Path(folder), store=store, report=progress)
    return open_library(made.library, create=False)


def _join(
    path: Path, catalog: Catalog, chosen: Settings, *, model: str | None, store: str | None
) -> Settings:
    """What all machines that share a catalog agree on, written to this machine's folder of the library."""
    from searchkit.catalog.postgres import without_password
    from searchkit.catalog.shared import agree

    own = {"library_id": chosen.library_id, "store": chosen.store, "model": chosen.model}
    with catalog.write() as connection:
        agreed = agree(connection, own)
    if store is not None and store != agreed["store"]:
        catalog.close()
        raise UsageError(
            f"the vectors of this catalog are in {agreed['store']!r}, not in {store!r}",
            hint="leave --store out, or choose another --catalog",
        )
    chosen = replace(
        chosen, library_id=agreed["library_id"], store=agreed["store"], model=model or agreed["model"]
    )
    save_new_settings(path, replace(chosen, catalog=without_password(chosen.catalog)))
    return chosen


class Library(LibraryReader):
    """An open library; searching is safe from several threads. Use ``open_library`` to get one."""

    def index(
        self,
        *paths: str | Path,
        progress: Progress | None = None,
        retry_failed: bool = False,
        allow_empty: bool = False,
        dry_run: bool = False,
        exclude: str | Sequence[str] = (),
        stop: threading.Event | None = None,
        ray: RayOptions | None = None,
    ) -> IndexReport:
        """Bring the library in line with files and folders; see ``searchkit.indexer.index``."""
        from searchkit.indexer import NO_PROGRESS, index

        return index(
            self,
            paths,
            progress=progress or NO_PROGRESS,
            retry_failed=retry_failed,
            allow_empty=allow_empty,
            dry_run=dry_run,
            exclude=exclude,
            stop=stop,
            ray=ray,
        )

    def remove(self, *paths: str | Path) -> int:
        """Take files and folders out of the library; returns how many. The files themselves stay."""
        from searchkit.indexer import remove

        return remove(self, paths)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check catalog against stores both ways; see ``searchkit.indexer.verify``."""
        from searchkit.indexer import verify

        return verify(self, repair=repair)

    def copy(
        self,
        folder: str | Path,
        *,
        store: str = "faiss",
        catalog: str = "",
        progress: Callable[[str, int, int], None] | None = None,
    ) -> CopyReport:
        """Copy the library to another folder and store, ids and all, without embedding anything again.

        Called again after a kill, it goes on; see ``searchkit.indexer.moving.copy_library``.

        Args:
            folder: the copy's folder, which must not exist, or be empty.
            store: where the copy keeps its vectors.
            catalog: where it keeps its catalog: "" for a file in its folder, or ``postgresql://...``, empty.
            progress: told what is being copied, how much is done, and how much there is.

        Raises:
            UsageError: something is at the folder, or the store keeps nothing.
            LibraryLocked: another process is writing to this library.
        """
        from searchkit.indexer.moving import copy_library

        return copy_library(self, Path(folder), store=store, catalog=catalog, report=progress)

    def export(
        self,
        folder: str | Path,
        *,
        kind: str = "parquet",
        to: str | Modality | Sequence[str | Modality] | None = None,
        where: Filter | str | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> ExportReport:
        """Write vectors, ids, paths and spans as files that other programs read, and ``import_library``.

        Args:
            folder: a folder that does not exist yet, or is empty.
            kind: "parquet" (one file for each collection) or "npy" (vectors for numpy, rows as JSON lines).
            to: modalities to export; None for all.
            where: the only files to export.
            progress: told what is being exported, how much of it is done, and how much there is.

        Raises:
            UsageError: something is at the folder, or there is no such format.
            DependencyMissing: the extra ``parquet`` is not installed.
        """
        from searchkit.indexer.moving import export_library

        chosen = parse_filter(where) if isinstance(where, str) else where
        modalities = None if to is None else parse_modalities(to)
        return export_library(self, Path(folder), kind=kind, to=modalities, where=chosen, report=progress)

    def status(self) -> LibraryStatus:
        """What the library holds; loads no model."""
        return read_status(self.folder, self.catalog)

    def errors(self) -> list[FileError]:
        """Files that could not be read, and why."""
        with self.catalog.read() as connection:
            return assets.failures(connection)

    def tag(self, *paths: str | Path, add: str | Sequence[str] = (), remove: str | Sequence[str] = ()) -> int:
        """Put tags on files and folders of the library, and take others off; returns how many files.

        Raises:
            UsageError: a tag is empty or no text, there are no paths, or the library holds nothing at a path.
            LibraryError: the library was opened read-only.
        """
        self._refuse_read_only()
        add, remove = strings(add), strings(remove)
        if not paths or any(not tag.strip() for tag in (*add, *remove)):
            raise UsageError("tagging needs files and words", hint="searchkit tag PATH --add WORD")
        if broken := [tag for tag in add if not is_storable(tag)]:
            raise UsageError(f"{broken[0]!r} is no text", hint="a tag is made of letters and signs")
        absolute = [os.path.abspath(Path(path).expanduser()) for path in paths]  # noqa: PTH100
        with self.catalog.write() as connection:
            ids = assets.ids_under_all(connection, absolute)
            tags.add_tags(connection, ids, [tag.strip() for tag in add])
            tags.remove_tags(connection, ids, [tag.strip() for tag in remove])
            self._write_fields(connection, ids)
        return len(ids)

    def _write_fields(self, connection: Connection, asset_ids: Sequence[int]) -> None:
        from searchkit.indexer.fields import write_fields

        with contextlib.ExitStack() as stack:

            def store_of(collection_id: int) -> VectorStore:
                store = self.open_store(*self.collection(collection_id), read_only=False)
                stack.callback(store.close)
                return store

            write_fields(connection, self.settings.store, store_of, asset_ids)

    def tags(self) -> dict[str, int]:
        """How many files carry each tag."""
        with self.catalog.read() as connection:
            return tags.tag_counts(connection)

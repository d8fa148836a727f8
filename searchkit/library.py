"""A library: one folder with a catalog and the vectors of what it lists; it reads, the indexer writes."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from searchkit.catalog import CATALOG_FILE, Catalog, assets, segments, spaces, tags
from searchkit.catalog.assets import FileError
from searchkit.catalog.spaces import CollectionRef
from searchkit.config import SETTINGS_FILE, Settings, default_library, load_settings, save_settings
from searchkit.durable import disk_full_guard
from searchkit.encoders import open_encoder, resolve_info
from searchkit.errors import LibraryError, LibraryNotFound, QueryError, SpaceMismatch, UsageError
from searchkit.loading import decode_settings_for, load_samples
from searchkit.media import DecodeSettings
from searchkit.query import EmbeddedQuery, Filter, Query, Segment, embed_query, parse, parse_filter
from searchkit.query.calibrate import background_ids
from searchkit.query.embed import Load
from searchkit.query.explain import Explanation, FilterPart, explain_candidate, filter_parts
from searchkit.query.search import (
    FUSIONS,
    Candidate,
    Searchable,
    candidate_of,
    find_candidates,
    parse_modalities,
    to_results,
)
from searchkit.status import LibraryStatus, read_status
from searchkit.stores import open_collection
from searchkit.types import Encoder, FloatArray, Modality, Results, Sample, Space, VectorStore

if TYPE_CHECKING:
    from searchkit.indexer import IndexReport, Progress, VerifyReport

__all__ = ["Library", "open_library"]

VECTORS_FOLDER = "vectors"

_EXPLAINED_RANKS = 1000


def _is_server(store: str) -> bool:
    return store.partition(":")[0] in ("qdrant", "qdrants")


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
        LibraryTooNew: a later version of searchkit wrote it.
        CatalogCorrupt: its catalog is damaged.
        ModelNotFound: there is no such encoder.
    """
    path = (Path(folder).expanduser() if folder is not None else default_library()).absolute()
    given = {"model": model, "model_dir": model_dir, "store": store, **settings}
    chosen = load_settings(path, given)
    resolve_info(chosen.model)
    exists = (path / CATALOG_FILE).exists()
    if not exists:
        if not create or read_only:
            raise LibraryNotFound(f"there is no library at {path}", hint="searchkit index FOLDER makes one")
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file, a library is a folder", hint="choose another --library")
        with disk_full_guard(path):
            path.mkdir(parents=True, exist_ok=True)
        if not (path / SETTINGS_FILE).exists():
            chosen = replace(chosen, library_id=secrets.token_hex(4))
            save_settings(path, chosen)
    elif store is not None and store != (made_with := load_settings(path).store):
        raise UsageError(
            f"the library {path} keeps its vectors in {made_with!r}, not in {store!r}",
            hint="leave --store out, or choose another --library",
        )
    return Library(path, chosen, Catalog.open(path), read_only=read_only)


class Library:
    """An open library; searching is safe from several threads. Use ``open_library`` to get one."""

    def __init__(self, folder: Path, settings: Settings, catalog: Catalog, *, read_only: bool) -> None:
        self.folder = folder
        self.settings = settings
        self.catalog = catalog
        self.read_only = read_only
        self._mutex = threading.RLock()
        self._encoder: Encoder | None = None
        self._query_load: Load | None = None
        self._stores: dict[int, VectorStore] = {}
        self._samples: dict[int, tuple[int, FloatArray]] = {}

    @property
    def encoder(self) -> Encoder:
        """The encoder, opened when it is first needed.

        Raises:
            ModelNotFound: its files are missing.
            DependencyMissing: an extra is not installed.
        """
        with self._mutex:
            if self._encoder is None:
                self._encoder = open_encoder(self.settings.model, self.settings.model_dir)
            return self._encoder

    @property
    def is_shared(self) -> bool:
        """Whether several machines may write to it: its catalog and its vectors are on servers."""
        return self.catalog.is_shared and _is_server(self.settings.store)

    @property
    def space(self) -> Space:
        """The space that searches and runs use."""
        return self.encoder.space

    @cached_property
    def decode_settings(self) -> DecodeSettings:
        """How files are decoded for this library's encoder.

        Raises:
            UsageError: a ``[decode]`` setting is unknown or out of range.
        """
        return decode_settings_for(self.encoder, self.settings)

    def index(
        self,
        *paths: str | Path,
        progress: Progress | None = None,
        retry_failed: bool = False,
        allow_empty: bool = False,
        dry_run: bool = False,
        stop: threading.Event | None = None,
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
            stop=stop,
        )

    def remove(self, *paths: str | Path) -> int:
        """Take files and folders out of the library; returns how many. The files themselves stay."""
        from searchkit.indexer import remove

        return remove(self, paths)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check catalog against stores both ways; see ``searchkit.indexer.verify``."""
        from searchkit.indexer import verify

        return verify(self, repair=repair)

    def search(
        self,
        query: Query | str,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        k: int = 10,
        where: Filter | str | None = None,
        spans: bool = False,
        diverse: bool = False,
        fusion: str = "calibrated",
    ) -> Results:
        """Search with a query value, or with its source text: ``audio:bark.wav + 0.5*text:"snow"``.

        Args:
            query: what to search with.
            to: modalities to find; None for all that the library has.
            k: how many results at most.
            where: the only files to find: a filter, or its text ``path:2019/** AND duration_s<10``.
            spans: every matching span instead of the best of each file; neighbours are merged.
            diverse: prefer results that differ from those before them.
            fusion: how several modalities interleave: "calibrated" by what their scores mean, or "rrf".

        Raises:
            QueryError: the query does not parse, is empty, or cancels out; ``k`` is below 1.
            InvalidFilter: the filter names an unknown field or a bad value.
            DecodeError: a file of the query cannot be read.
            ModalityUnsupported: the encoder cannot embed one of its terms.
            SpaceMismatch: the library has no vectors of this encoder.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1, got {k}", hint="-k 10")
        if fusion not in FUSIONS:
            raise QueryError(f"no fusion is called {fusion!r}", hint=f"choose from {', '.join(FUSIONS)}")
        value = parse(query) if isinstance(query, str) else query
        searched = self._searched(to)
        embedded = self.embed_query(value)
        candidates = find_candidates(
            embedded.vector,
            catalog=self.catalog,
            searched=searched,
            k=k,
            where=parse_filter(where) if isinstance(where, str) else where,
            spans=spans,
            diverse=diverse,
            fusion=fusion,
            without=frozenset(term.operand.id for term in value.terms if isinstance(term.operand, Segment)),
        )
        return Results(str(value), self.space.fingerprint, tuple(to_results(candidates)))

    def explain(
        self,
        query: Query | str,
        path: str | Path,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        where: Filter | str | None = None,
    ) -> Explanation:
        """Why a file ranks where it does: each term's share, raw and calibrated score, filters, ranks.

        Args:
            query: the query.
            path: a file of the library.
            to: the modalities that were searched.
            where: the filter that was set.

        Raises:
            UsageError: the library holds no such file.
            QueryError: the query does not parse, is empty, or cancels out.
        """
        value = parse(query) if isinstance(query, str) else query
        condition = parse_filter(where) if isinstance(where, str) else where
        target = os.path.abspath(Path(path).expanduser())  # noqa: PTH100
        with self.catalog.read() as connection:
            asset = assets.asset_at(connection, target)
        if asset is None:
            raise UsageError(f"the library holds no file {path}", hint="searchkit index FILE puts it in")
        embedded = self.embed_query(value)
        best: tuple[Candidate, Searchable] | None = None
        for searchable in self._searched(to):
            candidate = candidate_of(embedded.vector, self.catalog, searchable, asset.id, condition)
            if candidate is not None and (best is None or candidate.score > best[0].score):
                best = candidate, searchable
        if best is None:
            raise UsageError(
                f"{path} has nothing embedded among what is searched",
                hint="`searchkit errors` says why a file is missing; --to widens the search",
            )
        results = self.search(value, to=to, where=condition, k=_EXPLAINED_RANKS)
        rank = next((result.rank for result in results if result.asset_id == asset.id), None)
        parts = [FilterPart(str(p), p.matches(asset, asset.tags)) for p in filter_parts(condition)]
        return explain_candidate(embedded, *best, rank=rank, filters=parts)

    def embed_query(self, query: Query) -> EmbeddedQuery:
        """A query as one unit vector, with each term's share; see ``searchkit.query.embed_query``."""
        return embed_query(query, self.encoder, load=self._load, fetch=self._fetch)

    def answer_with(self, encoder: Encoder, load: Load) -> None:
        """Embed with another encoder of the same space, and open the files of queries with ``load``.

        For servers, which batch what many ask and decode what others send in processes of their own. The
        encoder is closed with the library.

        Raises:
            SpaceMismatch: the encoder's vectors would meet those of another space.
        """
        with self._mutex:
            if encoder.space != self.space:
                raise SpaceMismatch(f"vectors of {encoder.space} cannot meet those of {self.space}")
            self._encoder, self._query_load = encoder, load

    def embed(self, samples: Sequence[Sample]) -> FloatArray:
        """Embed samples: (N, dim) unit rows."""
        return self.encoder.encode(samples)

    def status(self) -> LibraryStatus:
        """What the library holds; loads no model."""
        return read_status(self.folder, self.catalog)

    def errors(self) -> list[FileError]:
        """Files that could not be read, and why."""
        with self.catalog.read() as connection:
            return assets.failures(connection)

    def tag(self, *paths: str | Path, add: Sequence[str] = (), remove: Sequence[str] = ()) -> int:
        """Put tags on files and folders of the library, and take others off; returns how many files.

        Raises:
            UsageError: a tag is empty, there are no paths, or the library holds nothing at a path.
            LibraryError: the library was opened read-only.
        """
        if self.read_only:
            raise LibraryError(f"{self.folder} was opened read-only", hint="open it without read_only")
        if not paths or any(not tag.strip() for tag in (*add, *remove)):
            raise UsageError("tagging needs files and words", hint="searchkit tag PATH --add WORD")
        with self.catalog.write() as connection:
            chosen: set[int] = set()
            for path in paths:
                found = assets.ids_under(connection, os.path.abspath(Path(path).expanduser()))  # noqa: PTH100
                if not found:
                    raise UsageError(
                        f"the library holds nothing at {path}", hint="`searchkit status` lists its folders"
                    )
                chosen.update(found)
            ids = sorted(chosen)
            tags.add_tags(connection, ids, [tag.strip() for tag in add])
            tags.remove_tags(connection, ids, [tag.strip() for tag in remove])
        return len(ids)

    def tags(self) -> dict[str, int]:
        """How many files carry each tag."""
        with self.catalog.read() as connection:
            return tags.tag_counts(connection)

    def collection(self, collection_id: int) -> tuple[CollectionRef, int]:
        """A collection of any space by its key, with the length of its vectors."""
        with self.catalog.read() as connection:
            for space_id, space in spaces.spaces(connection):
                for ref in spaces.collections_of(connection, space_id):
                    if ref.id == collection_id:
                        return ref, space.dim
        raise UsageError(f"the library has no collection {collection_id}")

    def open_store(self, collection: CollectionRef, dim: int, *, read_only: bool) -> VectorStore:
        """Open a collection's store; the caller closes it."""
        spec = self.settings.store
        own_folder = spec.partition(":")[0] in ("faiss", "exact")
        name = collection.name if own_folder else f"{self.settings.library_id}.{collection.name}"
        root = self.folder / VECTORS_FOLDER
        return open_collection(spec, root=root, name=name, dim=dim, read_only=read_only)

    def close(self) -> None:
        """Close stores, encoder and catalog; calling it again does nothing."""
        with self._mutex, contextlib.ExitStack() as stack:
            stack.callback(self.catalog.close)
            if self._encoder is not None:
                stack.callback(self._encoder.close)
            for store in self._stores.values():
                stack.callback(store.close)
            self._stores.clear()
            self._encoder = None

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _space_id(self) -> int:
        with self.catalog.read() as connection:
            space_id = spaces.find_space(connection, self.space)
            if space_id is not None:
                return space_id
            others = sorted({space.encoder for _, space in spaces.spaces(connection)})
        if not others:
            raise LibraryNotFound(
                f"the library {self.folder} is empty", hint="put something in it: searchkit index FOLDER"
            )
        raise SpaceMismatch(
            f"the library {self.folder} has no vectors of model {self.settings.model!r} "
            f"in its present form; it has vectors of: {', '.join(others)}",
            hint=f"searchkit index --model {self.settings.model}, or search with --model {others[0]}",
        )

    def _store(self, collection: CollectionRef) -> VectorStore:
        with self._mutex:
            if collection.id not in self._stores:
                self._stores[collection.id] = self.open_store(collection, self.space.dim, read_only=True)
            return self._stores[collection.id]

    def _searched(self, to: str | Modality | Sequence[str | Modality] | None) -> list[Searchable]:
        modalities = parse_modalities(to)
        space_id = self._space_id()
        with self.catalog.read() as connection:
            refs = spaces.collections_of(connection, space_id)
        return [self._searchable(ref) for ref in refs if ref.modality in modalities]

    def _searchable(self, collection: CollectionRef) -> Searchable:
        """A collection with a sample of its rows, drawn again when its size has changed by a tenth."""
        store = self._store(collection)
        size = len(store)
        with self._mutex:
            drawn_at, sample = self._samples.get(collection.id, (-1, None))
            if sample is None or abs(size - drawn_at) * 10 > drawn_at:
                ids = background_ids(store.ids())
                sample = store.fetch(ids) if len(ids) else np.empty((0, self.space.dim), np.float32)
                self._samples[collection.id] = (size, sample)
        return Searchable(collection, store, sample)

    def _load(self, path: Path, modality: Modality) -> Sequence[Sample]:
        if self._query_load is not None:
            return self._query_load(path, modality)
        return load_samples(path, modality, self.decode_settings)

    def _fetch(self, segment_id: int) -> FloatArray:
        with self.catalog.read() as connection:
            collection = segments.collection_of(connection, segment_id)
            refs = spaces.collections_of(connection, self._space_id())
        for ref in refs:
            if ref.id == collection:
                row: FloatArray = self._store(ref).fetch([segment_id])[0]
                return row
        raise QueryError(
            f"the library has no segment {segment_id} in this space",
            hint="ids are the segment_id of `--json`",
        )

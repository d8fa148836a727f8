"""The reading side of a library: what searches it, explains and groups what it holds; the encoder it uses."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from searchkit.catalog import Catalog, saved, spaces
from searchkit.catalog.saved import SavedRow
from searchkit.catalog.spaces import CollectionRef
from searchkit.config import Settings
from searchkit.duplicates import DuplicateGroup, find_duplicates
from searchkit.encoders import open_encoder
from searchkit.errors import InvalidFilter, LibraryError, SpaceMismatch, UsageError
from searchkit.loading import decode_settings_for, load_samples
from searchkit.media import DecodeSettings
from searchkit.query import CUTOFF, EmbeddedQuery, Filter, Query, embed_query, parse_filter
from searchkit.query.embed import Load
from searchkit.query.explain import Explanation
from searchkit.searching import Searcher, SearchOptions
from searchkit.stores import open_collection, repair_collection, resolve_store
from searchkit.types import (
    Encoder,
    FloatArray,
    Modality,
    Results,
    Sample,
    Space,
    TextSample,
    VectorStore,
    strings,
)

__all__ = ["LibraryReader"]

VECTORS_FOLDER = "vectors"


class LibraryReader:
    """What can be asked of an open library, from several threads."""

    def __init__(self, folder: Path, settings: Settings, catalog: Catalog, *, read_only: bool) -> None:
        self.folder = folder
        self.settings = settings
        self.catalog = catalog
        self.read_only = read_only
        self._mutex = threading.RLock()
        self._closed = False
        self._encoder: Encoder | None = None
        self._query_load: Load | None = None
        self._searcher = Searcher(self)

    @property
    def encoder(self) -> Encoder:
        """The encoder, opened when it is first needed.

        Raises:
            ModelNotFound: its files are missing.
            DependencyMissing: an extra is not installed.
            LibraryError: the library is closed.
        """
        with self._mutex:
            if self._closed:
                raise LibraryError(f"the library {self.folder} is closed", hint="open it again: open_library")
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
        hybrid: bool = False,
        centred: bool | None = None,
        prompts: str | Sequence[str] = (),
        cutoff: float = CUTOFF,
    ) -> Results:
        """Search with a query value, or with its source text: ``audio:bark.wav + 0.5*text:"snow"``.

        A query that is the name of a file, such as ``IMG_2034.jpg``, finds that file first.

        Args:
            query: what to search with. ``@barks`` alone is searched as it was saved: to the same modalities,
                with the same filter and prompts, where the call names none.
            to: modalities to find; None for all that the library has.
            k: how many results at most.
            where: the only files to find: a filter, or its text ``path:2019/** AND duration_s<10``.
            spans: every matching span instead of the best of each file; neighbours are merged.
            diverse: prefer results that differ from those before them.
            fusion: how several modalities interleave: "calibrated" by what their scores mean, or "rrf".
            hybrid: search names, folders, titles and passages by word as well, for the query's text terms.
            centred: subtract each modality's mean from query and segments before they are compared, which
                closes the gap between modalities in spaces that have one; None as the library is set.
            prompts: what is embedded for words, ``{}`` standing for them: "a photo of {}"; several average.
            cutoff: lowest ``match`` of a good result, 0 to 1. All k results come back all the same;
                ``Results.good`` counts those that reach it.

        Raises:
            QueryError: the query does not parse, is empty, or cancels out; ``k`` is below 1.
            InvalidFilter: the filter names an unknown field or a bad value.
            DecodeError: a file of the query cannot be read.
            ModalityUnsupported: the encoder cannot embed one of its terms.
            SpaceMismatch: the library has no vectors of this encoder.
        """
        return self._searcher.search(
            query,
            SearchOptions(
                to=to,
                k=k,
                where=_filter(where),
                spans=spans,
                diverse=diverse,
                fusion=fusion,
                hybrid=hybrid,
                centred=centred,
                prompts=strings(prompts),
                cutoff=cutoff,
            ),
        )

    def explain(
        self,
        query: Query | str,
        path: str | Path,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        where: Filter | str | None = None,
        hybrid: bool = False,
        centred: bool | None = None,
        prompts: str | Sequence[str] = (),
    ) -> Explanation:
        """Why a file ranks where it does: each term's share, raw and calibrated score, filters, ranks.

        Args:
            query: the query.
            path: a file of the library.
            to: the modalities that were searched.
            where: the filter that was set.
            hybrid: as in ``search``.
            centred: as in ``search``.
            prompts: as in ``search``.

        Raises:
            UsageError: the library holds no such file.
            QueryError: the query does not parse, is empty, or cancels out.
        """
        options = SearchOptions(
            to=to, where=_filter(where), hybrid=hybrid, centred=centred, prompts=strings(prompts)
        )
        return self._searcher.explain(query, path, options)

    def duplicates(
        self,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        threshold: float | None = None,
        where: Filter | str | None = None,
        near: bool = True,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> list[DuplicateGroup]:
        """Group files of equal content, and files whose embeddings nearly coincide; nothing is deleted.

        Args:
            to: modalities to look at; None for all.
            threshold: lowest cosine of near-duplicates; None for the modality's default.
            where: the only files to look at.
            near: look for near-duplicates, too.
            progress: told what is being looked at, how much of it is done, and how much there is.

        Returns:
            First groups of equal content, those that waste most first; then near ones, the most alike first.

        Raises:
            QueryError: the threshold is no cosine, or there is no such modality.
        """
        return find_duplicates(
            self,
            self._searcher.searched(to),
            threshold=threshold,
            where=_filter(where),
            near=near,
            progress=progress,
        )

    def embed_query(
        self, query: Query, *, prompts: str | Sequence[str] = (), centred: bool = False
    ) -> EmbeddedQuery:
        """A query as one unit vector, with each term's share; see ``searchkit.query.embed_query``."""
        templates = strings(prompts) or ("{}",)
        return embed_query(
            query,
            self.encoder,
            load=self._load,
            fetch=self._searcher.fetch,
            templates=templates,
            centers=self._searcher.centers() if centred else None,
            modality_of=self._searcher.modality_of,
        )

    def parse(self, source: str) -> Query:
        """Read a query's source text, in which ``@barks`` stands for a saved query.

        The name of a file of the library is that name, whatever signs are in it.

        Raises:
            QuerySyntaxError: it does not parse, or no query is saved under a name.
        """
        return self._searcher.parse(source)

    def save_query(
        self,
        name: str,
        query: Query | str,
        *,
        to: str | Modality | Sequence[str | Modality] | None = None,
        where: Filter | str | None = None,
        prompts: str | Sequence[str] = (),
    ) -> SavedRow:
        """Keep a query under a name, by which ``@name`` recalls it; one of the same name is replaced.

        Paths in it become absolute. Modalities, filter and prompts are for searches with ``@name`` alone.

        Raises:
            UsageError: the name is none: letters, digits, ``_``, and ``-`` or ``.`` between them.
            QueryError: the query or the modalities do not parse.
            LibraryError: the library was opened read-only.
        """
        self._refuse_read_only()
        return self._searcher.save(
            name, query, SearchOptions(to=to, where=_filter(where), prompts=strings(prompts))
        )

    def saved_queries(self) -> dict[str, SavedRow]:
        """The saved queries, by name."""
        with self.catalog.read() as connection:
            return saved.saved_queries(connection)

    def delete_query(self, name: str) -> None:
        """Forget a saved query.

        Raises:
            UsageError: there is none of that name.
            LibraryError: the library was opened read-only.
        """
        self._refuse_read_only()
        with self.catalog.write() as connection:
            if not saved.delete_query(connection, name):
                raise UsageError(f"no query is saved as {name!r}", hint="`searchkit saved` lists them")

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

    def vector(self, segment_id: int) -> FloatArray:
        """The stored unit vector (dim,) of a segment.

        Raises:
            QueryError: there is no such segment in the space that is searched.
        """
        return self._searcher.fetch(segment_id)

    def embed(self, samples: str | Sequence[Sample | str]) -> FloatArray:
        """Embed samples: (N, dim) unit rows; words may be given as they are.

        Raises:
            ModalityUnsupported: the encoder cannot embed one of them.
        """
        given = [samples] if isinstance(samples, str) else samples
        return self.encoder.encode([TextSample(one) if isinstance(one, str) else one for one in given])

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
        root, name = self._place_of(collection)
        return open_collection(self.settings.store, root=root, name=name, dim=dim, read_only=read_only)

    def repair_store(self, collection: CollectionRef, dim: int) -> list[str]:
        """Drop what is damaged of a collection's own files; what that was, one sentence each."""
        root, name = self._place_of(collection)
        return repair_collection(self.settings.store, root=root, name=name, dim=dim)

    def _place_of(self, collection: CollectionRef) -> tuple[Path, str]:
        beside = resolve_store(self.settings.store).beside_catalog
        name = collection.name if beside else f"{self.settings.library_id}.{collection.name}"
        return self.folder / VECTORS_FOLDER, name

    def close(self) -> None:
        """Close stores, encoder and catalog; nothing can be searched after that. Again, it does nothing."""
        with self._mutex, contextlib.ExitStack() as stack:
            stack.callback(self.catalog.close)
            if self._encoder is not None:
                stack.callback(self._encoder.close)
            stack.callback(self._searcher.close)
            self._encoder, self._closed = None, True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise LibraryError(f"{self.folder} was opened read-only", hint="open it without read_only")

    def _load(self, path: Path, modality: Modality) -> Sequence[Sample]:
        if self._query_load is not None:
            return self._query_load(path, modality)
        return load_samples(path, modality, self.decode_settings)


def _filter(where: Filter | str | None) -> Filter | None:
    if where is None or isinstance(where, Filter):
        return where
    if not isinstance(where, str):
        raise InvalidFilter(
            f"a filter is text or a Filter, not {type(where).__name__}",
            hint="such as 'type:jpg AND date>=2020'",
        )
    return parse_filter(where)


def _is_server(store: str) -> bool:
    return store.partition(":")[0] in ("qdrant", "qdrants")

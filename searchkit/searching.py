"""The searching side of a library: stores opened on first use, and what scores mean in each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchkit.catalog import Catalog, assets, saved, segments, spaces
from searchkit.catalog.saved import SavedRow
from searchkit.catalog.spaces import CollectionRef
from searchkit.catalog.types import is_storable
from searchkit.catalog.word_search import assets_named
from searchkit.errors import LibraryNotFound, QueryError, SpaceMismatch, UsageError
from searchkit.query import (
    CUTOFF,
    EmbeddedQuery,
    Filter,
    Query,
    Segment,
    Text,
    absolute,
    background_ids,
    parse,
    parse_filter,
    text,
)
from searchkit.query.candidates import Candidate, Searchable, candidate_of
from searchkit.query.evidence import evidence_for
from searchkit.query.explain import Explanation, FilterPart, explain_candidate, filter_parts
from searchkit.query.hybrid import WordSearch, words_of_query
from searchkit.query.patterns import SAVED
from searchkit.query.search import FUSIONS, Search, find_candidates, parse_modalities, to_results
from searchkit.types import FloatArray, Modality, Results, VectorStore

if TYPE_CHECKING:
    from searchkit.reader import LibraryReader

__all__ = ["SearchOptions", "Searcher", "check_query"]

_EXPLAINED_RANKS = 1000


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; see ``Library.search``.

    Raises:
        QueryError: a value is out of range.
    """

    to: str | Modality | Sequence[str | Modality] | None = None
    k: int = 10
    where: Filter | None = None
    spans: bool = False
    diverse: bool = False
    fusion: str = FUSIONS[0]
    hybrid: bool = False
    centred: bool | None = None
    prompts: Sequence[str] = ()
    cutoff: float = CUTOFF

    def __post_init__(self) -> None:
        if not isinstance(self.k, int | np.integer):
            raise QueryError(f"k must be a whole number, got {self.k!r}", hint="-k 10")
        if self.k < 1:
            raise QueryError(f"k must be at least 1, got {self.k}", hint="-k 10")
        if self.fusion not in FUSIONS:
            raise QueryError(f"no fusion is called {self.fusion!r}", hint=f"choose from {', '.join(FUSIONS)}")
        if not 0 <= self.cutoff <= 1:
            raise QueryError(
                f"a cut-off is a probability from 0 to 1, got {self.cutoff}", hint=f"--cutoff {CUTOFF}"
            )


def check_query(query: object) -> None:
    """Refuse what is no query.

    Raises:
        QueryError: it is neither text nor a Query.
    """
    if not isinstance(query, Query | str):
        raise QueryError(
            f"a query is text or a Query, not {type(query).__name__}",
            hint="make one of a file with searchkit.image(path), audio(path) or video(path)",
        )


class Searcher:
    """Searches one library in the space of its encoder; safe to use from several threads."""

    def __init__(self, library: LibraryReader) -> None:
        self._library = library
        self._mutex = threading.RLock()
        self._stores: dict[int, VectorStore] = {}
        self._samples: dict[int, tuple[int, FloatArray]] = {}

    def parse(self, source: str) -> Query:
        """Read a query's source text; see ``Library.parse``."""
        with self._library.catalog.read() as connection:
            if assets_named(connection, source, limit=1):
                return text(source.strip())
        return parse(source, saved=_Recall(self._library.catalog))

    def save(self, name: str, query: Query | str, options: SearchOptions) -> SavedRow:
        """Keep a query under a name; see ``Library.save_query``."""
        if not SAVED.fullmatch(f"@{name}"):
            raise UsageError(
                f"{name!r} cannot name a query",
                hint="use letters, digits and _, with - or . between them: night-trains",
            )
        query, options = self._read(query, options)
        catalog = self._library.catalog
        modalities = None if options.to is None else ",".join(parse_modalities(options.to))
        kept = (str(query), *map(str, filter(None, [options.where])), *options.prompts)
        if broken := [part for part in kept if not is_storable(part)]:
            raise UsageError(
                f"{broken[0]!r} cannot be kept: it is no text", hint="write ? for what is none: name:?x.jpg"
            )
        with catalog.write() as connection:
            saved.save_query(
                connection,
                name,
                str(absolute(query)),
                to=modalities,
                where=None if options.where is None else str(options.where),
                prompts=tuple(options.prompts),
            )
            return saved.saved_queries(connection)[name]

    def _read(self, query: Query | str, options: SearchOptions) -> tuple[Query, SearchOptions]:
        """A query as a value, and how to search: a saved one that stands alone as it was saved."""
        check_query(query)
        if isinstance(query, Query):
            return query, options
        value = self.parse(query)
        if (alone := SAVED.fullmatch(query.strip())) is None:
            return value, options
        with self._library.catalog.read() as connection:
            row = saved.saved_queries(connection)[alone[1]]
        where = parse_filter(row.where) if row.where else None
        return value, replace(
            options,
            to=options.to if options.to is not None else row.to,
            where=options.where or where,
            prompts=options.prompts or row.prompts,
        )

    def search(self, query: Query | str, options: SearchOptions) -> Results:
        """Find what is near a query; see ``Library.search``."""
        query, options = self._read(query, options)
        searched = self.searched(options.to)
        embedded = self._library.embed_query(query, prompts=options.prompts, centred=self._centred(options))
        searched = self._weighed(searched, embedded, options)
        found = tuple(to_results(self._find(embedded, searched, options)))
        return Results(str(query), self._library.space.fingerprint, found, options.cutoff)

    def _find(
        self, embedded: EmbeddedQuery, searched: Sequence[Searchable], options: SearchOptions
    ) -> list[Candidate]:
        query = embedded.query
        words = words_of_query(query) if options.hybrid else ""
        search = Search(
            k=options.k,
            where=options.where,
            spans=options.spans,
            diverse=options.diverse,
            fusion=options.fusion,
            cutoff=options.cutoff,
            without=frozenset(term.operand.id for term in query.terms if isinstance(term.operand, Segment)),
            words=WordSearch(words, self._space_id()) if words else None,
            named=self._named(query),
            captions=tuple(self._captions(embedded, searched, options)),
        )
        return find_candidates(embedded.vector, self._library.catalog, searched, search)

    def _centred(self, options: SearchOptions) -> bool:
        """Whether to compare centred: as asked, else as the library is set."""
        if options.centred is not None:
            return options.centred
        return self._library.settings.centring == "on"

    def modality_of(self, segment_id: int) -> Modality:
        """What a stored segment was encoded as."""
        with self._library.catalog.read() as connection:
            return segments.join(connection, [segment_id])[segment_id].encoded_as

    def centers(self) -> dict[Modality, FloatArray]:
        """The mean of each modality's segments, by what they were encoded as."""
        with self._library.catalog.read() as connection:
            refs = spaces.collections_of(connection, self._space_id())
        # A video's frames and sound stand in where there are no pictures or sounds.
        own_last = sorted(refs, key=lambda ref: ref.modality == ref.encoded_as)
        return {ref.encoded_as: ref.mean for ref in own_last if ref.mean is not None}

    def _weighed(
        self, searched: Sequence[Searchable], embedded: EmbeddedQuery, options: SearchOptions
    ) -> list[Searchable]:
        """The collections, with what this query's scores say in each."""
        if self._centred(options):
            return [replace(s, center=s.collection.mean) for s in searched]
        encoder = self._library.space.encoder
        return [
            replace(s, evidence=evidence_for(embedded, encoder, s.collection.encoded_as, self.modality_of))
            for s in searched
        ]

    def _named(self, query: Query) -> tuple[int, ...]:
        """The assets whose file name the query is."""
        term = query.terms[0]
        if len(query.terms) > 1 or not isinstance(term.operand, Text) or term.weight <= 0:
            return ()
        with self._library.catalog.read() as connection:
            return tuple(assets_named(connection, term.operand.text))

    def _captions(
        self, embedded: EmbeddedQuery, searched: Sequence[Searchable], options: SearchOptions
    ) -> list[Searchable]:
        """Where the texts lie that may speak for other files; only words find those."""
        others = any(s.collection.modality is not Modality.TEXT for s in searched)
        if not others or not all(isinstance(term.operand, Text) for term in embedded.query.terms):
            return []
        texts = [s for s in searched if s.collection.modality is Modality.TEXT]
        return texts or self._weighed(self.searched(Modality.TEXT), embedded, options)

    def explain(self, query: Query | str, path: str | Path, options: SearchOptions) -> Explanation:
        """Say why a file ranks where it does; see ``Library.explain``."""
        query, options = self._read(query, options)
        catalog = self._library.catalog
        target = os.path.abspath(Path(path).expanduser())  # noqa: PTH100
        with catalog.read() as connection:
            asset = assets.asset_at(connection, target)
        if asset is None:
            raise UsageError(f"the library holds no file {path}", hint="searchkit index FILE puts it in")
        searched = self.searched(options.to)
        embedded = self._library.embed_query(query, prompts=options.prompts, centred=self._centred(options))
        searched = self._weighed(searched, embedded, options)
        best: tuple[Candidate, Searchable] | None = None
        for searchable in searched:
            candidate = candidate_of(embedded.vector, catalog, searchable, asset.id, options.where)
            if candidate is not None and (best is None or candidate.score > best[0].score):
                best = candidate, searchable
        if best is None:
            raise UsageError(
                f"{path} has nothing embedded among what is searched",
                hint="`searchkit errors` says why a file is missing; --to widens the search",
            )
        ranked = self._find(embedded, searched, replace(options, k=_EXPLAINED_RANKS))
        places = (
            (place, entry)
            for place, entry in enumerate(ranked, start=1)
            if entry.row.asset_id == asset.id or asset.path in entry.copies
        )
        rank, listed = next(places, (None, None))
        parts = [FilterPart(str(p), p.matches(asset, asset.tags)) for p in filter_parts(options.where)]
        return explain_candidate(embedded, *best, rank=rank, listed=listed, filters=parts)

    def searched(self, to: str | Modality | Sequence[str | Modality] | None) -> list[Searchable]:
        """The collections that hold some modalities, or all.

        Raises:
            QueryError: there is no such modality.
            SpaceMismatch: the library has no vectors of its encoder.
        """
        modalities = None if to is None else parse_modalities(to)
        space_id = self._space_id()
        with self._library.catalog.read() as connection:
            refs = spaces.collections_of(connection, space_id)
        return [self._searchable(ref) for ref in refs if modalities is None or ref.modality in modalities]

    def fetch(self, segment_id: int) -> FloatArray:
        """The vector (dim,) of a segment.

        Raises:
            QueryError: there is no such segment in this space.
        """
        with self._library.catalog.read() as connection:
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

    def close(self) -> None:
        """Close the stores."""
        with self._mutex, contextlib.ExitStack() as stack:
            for store in self._stores.values():
                stack.callback(store.close)
            self._stores.clear()

    def _searchable(self, collection: CollectionRef) -> Searchable:
        """A collection with a sample of its rows, drawn again when its size has changed by a tenth."""
        store = self._store(collection)
        size = len(store)
        with self._mutex:
            drawn_at, sample = self._samples.get(collection.id, (-1, None))
            if sample is None or abs(size - drawn_at) * 10 > drawn_at:
                ids = background_ids(store.ids())
                sample = store.fetch(ids) if len(ids) else np.empty((0, store.dim), np.float32)
                self._samples[collection.id] = (size, sample)
        return Searchable(collection, store, sample)

    def _store(self, collection: CollectionRef) -> VectorStore:
        with self._mutex:
            if collection.id not in self._stores:
                dim = self._library.space.dim
                self._stores[collection.id] = self._library.open_store(collection, dim, read_only=True)
            return self._stores[collection.id]

    def _space_id(self) -> int:
        library = self._library
        with library.catalog.read() as connection:
            space_id = spaces.find_space(connection, library.space)
            if space_id is not None:
                return space_id
            others = sorted({space.encoder for _, space in spaces.spaces(connection)})
        if not others:
            raise LibraryNotFound(
                f"the library {library.folder} is empty",
                hint="put something in it: searchkit index FOLDER",
            )
        model = library.settings.model
        # An older form of the same model cannot be searched with: its vectors can only be made anew.
        elsewhere = [other for other in others if other != model][:1]
        raise SpaceMismatch(
            f"the library {library.folder} has no vectors of model {model!r} "
            f"in its present form; it has vectors of: {', '.join(others)}",
            hint=f"searchkit index --model {model}"
            + "".join(f", or search with --model {o}" for o in elsewhere),
        )


class _Recall(Mapping[str, Query]):
    """The saved queries by name, read only when a query names one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @cached_property
    def _rows(self) -> dict[str, SavedRow]:
        with self._catalog.read() as connection:
            return saved.saved_queries(connection)

    def __getitem__(self, name: str) -> Query:
        return parse(self._rows[name].source)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

"""One Qdrant collection as a store: a point's id is the segment's id; scores are dot products."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from searchkit.errors import DimensionMismatch, StoreError, UnknownId, UsageError
from searchkit.stores.base import as_among, as_ids, as_queries, as_rows, last_of_each, rank
from searchkit.stores.conditions import Condition, FieldValue, Known, Not
from searchkit.stores.qdrant.client import Connection
from searchkit.stores.qdrant.filters import INDEXES, among_filter, checked_payload, to_filter
from searchkit.stores.qdrant.settings import QdrantSettings
from searchkit.stores.report import StoreReport, bad_rows
from searchkit.types import FloatArray, Hit, IdArray

__all__ = ["QdrantStore", "create_collection"]

_TIES = 16  # further hits asked for, so that equal scores at the end of a list come in order of id
_SCROLL_ROWS = 10_000
_QUERIES_AT_ONCE = 64
_FIELDS_AGAIN_S = 60.0


class QdrantStore:
    """Rows in a Qdrant collection, with the fields that filters use beside them.

    Args:
        connection: what ``connect`` gave; released by ``close``.
        name: the collection's name on the server, or an alias of it.
        dim: length of a vector.
        read_only: refuse writes, and do not make the collection.

    Raises:
        DimensionMismatch: the collection holds vectors of another length.
        StoreError: the server refused, or did not answer.
    """

    def __init__(self, connection: Connection, name: str, dim: int, *, read_only: bool = False) -> None:
        self._connection = connection
        self._settings = connection.settings
        self._name = name
        self._dim = dim
        self._read_only = read_only
        self._closed = False
        self._all_fields = False
        self._ask_fields_at_s = 0.0
        if self._ask("collection_exists"):
            self._check_dim()
        elif not read_only:
            try:
                create_collection(connection, name, dim)
            except StoreError:
                if not self._ask("collection_exists"):  # else another machine was quicker
                    raise
                self._check_dim()

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def __len__(self) -> int:
        if not self._exists():
            return 0
        return int(self._ask("count", exact=True).count)

    def upsert(self, ids: Sequence[int] | IdArray, vectors: FloatArray) -> None:
        """Insert or replace rows, their fields with them; see VectorStore.

        Raises:
            DimensionMismatch: the vectors have another length.
            InvalidVector: a row is not finite or not of unit length; nothing is stored.
            StoreError: the server refused, or did not answer; batches before that are stored.
        """
        checked = as_ids(ids)
        rows = as_rows(vectors, self._dim, len(checked))
        self._check_writable()
        chosen = last_of_each(checked)
        for start in range(0, len(chosen), self._settings.batch_rows):
            batch = chosen[start : start + self._settings.batch_rows]
            points = models.Batch(ids=checked[batch].tolist(), vectors=rows[batch].tolist())
            # the same points may be sent twice: that is why it may be tried again
            self._ask("upsert", points=points, wait=True)

    def delete(self, ids: Sequence[int] | IdArray) -> None:
        """Remove rows; unknown ids are fine."""
        checked = as_ids(ids)
        self._check_writable()
        if len(checked):
            gone = models.PointIdsList(points=checked.tolist())
            self._ask("delete", points_selector=gone, wait=True)

    def flush(self) -> None:
        """Nothing to do: each write has waited until Qdrant had applied it and had it in its log."""
        self._check_writable()

    def fetch(self, ids: Sequence[int] | IdArray) -> FloatArray:
        """Rows (N, dim) in the order asked.

        Raises:
            UnknownId: an id is not stored.
        """
        checked = as_ids(ids)
        known: dict[int, FloatArray] = {}
        unique = np.unique(checked)
        for start in range(0, len(unique) if self._exists() else 0, self._settings.batch_rows):
            batch = unique[start : start + self._settings.batch_rows].tolist()
            records = self._ask("retrieve", ids=batch, with_payload=False, with_vectors=True)
            known |= {int(record.id): np.asarray(record.vector, dtype=np.float32) for record in records}
        for id_ in checked.tolist():
            if id_ not in known:
                raise UnknownId(f"no vector has the id {id_}")
        return np.array([known[id_] for id_ in checked.tolist()], dtype=np.float32).reshape(-1, self._dim)

    def ids(self) -> IdArray:
        """All stored ids, ascending."""
        found = [int(record.id) for chunk in self._scroll(_SCROLL_ROWS, vectors=False) for record in chunk]
        return np.sort(np.array(found, dtype=np.int64))

    def search(
        self, queries: FloatArray, k: int, *, among: Sequence[int] | IdArray | None = None
    ) -> list[list[Hit]]:
        """The k best rows for each query; see VectorStore."""
        checked, allowed = as_queries(queries, self._dim, k), as_among(among)
        if allowed is not None and not len(allowed):
            return [[] for _ in checked]
        return self._query(checked, k, None if allowed is None else among_filter(allowed))

    def set_fields(self, ids: Sequence[int] | IdArray, fields: Sequence[Mapping[str, FieldValue]]) -> None:
        """Replace the fields of rows; see FieldStore."""
        checked, payloads = as_ids(ids), checked_payload(fields)
        self._check_writable()
        operations = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(payload=dict(payload), points=[id_])
            )
            for id_, payload in zip(checked.tolist(), payloads, strict=True)
        ]
        for start in range(0, len(operations), self._settings.batch_rows):
            batch = operations[start : start + self._settings.batch_rows]
            self._ask("batch_update_points", update_operations=batch, wait=True)

    def has_all_fields(self) -> bool:
        """Whether every row has its fields; see FieldStore."""
        # once true it stays so: a row is shown to searches after its fields are written
        if not self._all_fields and time.monotonic() >= self._ask_fields_at_s:
            self._ask_fields_at_s = time.monotonic() + _FIELDS_AGAIN_S
            bare = to_filter(Not(Known("asset")))
            self._all_fields = (
                not self._exists() or not self._ask("count", count_filter=bare, exact=True).count
            )
        return self._all_fields

    def fields(self, ids: Sequence[int] | IdArray) -> dict[int, dict[str, Any]]:
        """The fields of rows; see FieldStore."""
        checked, known = as_ids(ids), dict[int, dict[str, Any]]()
        for start in range(0, len(checked) if self._exists() else 0, self._settings.batch_rows):
            batch = checked[start : start + self._settings.batch_rows].tolist()
            records = self._ask("retrieve", ids=batch, with_payload=True, with_vectors=False)
            known |= {int(record.id): dict(record.payload or {}) for record in records}
        return known

    def search_where(self, queries: FloatArray, k: int, condition: Condition) -> list[list[Hit]]:
        """The k best of the rows for which the condition holds; Qdrant evaluates it, by its indexes."""
        return self._query(as_queries(queries, self._dim, k), k, to_filter(condition))

    def describe(self) -> StoreReport:
        """How many rows the collection has."""
        return StoreReport(rows=len(self))

    def verify(self) -> StoreReport:
        """Look at every row: read all of them, check that they are finite and of unit length."""
        rows, problems = 0, list[str]()
        for chunk in self._scroll(self._settings.batch_rows, vectors=True):
            rows += len(chunk)
            matrix = np.array([record.vector for record in chunk], dtype=np.float32)
            bad = bad_rows(matrix.reshape(len(chunk), -1))
            if len(bad) and not problems:
                id_ = chunk[int(bad[0])].id
                problems.append(f"{self._name}: the row of id {id_} is not a finite vector of unit length")
        return StoreReport(rows=rows, problems=tuple(problems))

    def close(self) -> None:
        """Release the connection; harmless when done twice."""
        if not self._closed:
            self._closed = True
            self._connection.release()

    def _query(self, queries: FloatArray, k: int, condition: models.Filter | None) -> list[list[Hit]]:
        if not self._exists():
            return [[] for _ in queries]
        answers: list[list[Hit]] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            requests = [
                models.QueryRequest(
                    query=query, filter=condition, limit=k + _TIES, params=_search_params(self._settings)
                )
                for query in queries[start : start + _QUERIES_AT_ONCE].tolist()
            ]
            found = self._ask("query_batch_points", requests=requests)
            answers += [_hits(answer.points, k) for answer in found]
        return answers

    def _scroll(self, size: int, *, vectors: bool) -> Iterator[list[models.Record]]:
        offset = None
        while self._exists():
            records, offset = self._ask(
                "scroll", limit=size, offset=offset, with_payload=False, with_vectors=vectors
            )
            if records:
                yield records
            if offset is None:
                return

    def _exists(self) -> bool:
        # a writer has made the collection; a reader may have come before it
        return not self._read_only or bool(self._ask("collection_exists"))

    def _check_dim(self) -> None:
        vectors = self._ask("get_collection").config.params.vectors
        size = vectors.size if isinstance(vectors, models.VectorParams) else None
        if size != self._dim:
            raise DimensionMismatch(
                f"the collection {self._name} holds vectors of length {size}, not {self._dim}",
                hint="use another library for another model",
            )

    def _check_writable(self) -> None:
        if self._read_only:
            raise UsageError(f"{self._name} was opened read-only")

    def _ask(self, verb: str, **arguments: Any) -> Any:
        if self._closed:
            raise StoreError(f"{self._name} was closed", hint="open the store again")
        return self._connection.call(verb, collection_name=self._name, **arguments)


def create_collection(connection: Connection, name: str, dim: int) -> None:
    """Make a collection: float16 rows on disk, quantized copies in memory, an index for each field.

    Raises:
        StoreError: the server refused, or did not answer.
    """
    settings = connection.settings
    vectors = models.VectorParams(
        size=dim,
        distance=models.Distance.DOT,
        datatype=models.Datatype.FLOAT16,
        on_disk=True,
    )

    connection.call(
        "create_collection",
        collection_name=name,
        vectors_config=vectors,
        quantization_config=_quantization(settings),
        hnsw_config=models.HnswConfigDiff(m=16, ef_construct=128),
        shard_number=settings.shards,
        replication_factor=settings.replicas,
        write_consistency_factor=settings.write_consistency,
    )
    for field, kind in () if settings.local else INDEXES.items():
        connection.call(
            "create_payload_index", collection_name=name, field_name=field, field_schema=kind, wait=True
        )


def _quantization(settings: QdrantSettings) -> models.ScalarQuantization | models.BinaryQuantization | None:
    if settings.quantization == "scalar":
        return models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8, quantile=0.99, always_ram=True
            )
        )
    if settings.quantization == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None


def _search_params(settings: QdrantSettings) -> models.SearchParams | None:
    if settings.local:
        return None
    rescored = models.QuantizationSearchParams(rescore=True, oversampling=settings.oversampling)
    return models.SearchParams(
        hnsw_ef=settings.ef, quantization=rescored if settings.quantization != "none" else None
    )


def _hits(points: Sequence[models.ScoredPoint], k: int) -> list[Hit]:
    return rank(
        np.array([int(point.id) for point in points], dtype=np.int64),
        np.array([point.score for point in points], dtype=np.float32),
        k,
    )

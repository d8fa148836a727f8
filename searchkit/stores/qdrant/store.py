"""One Qdrant collection as a store: a point's id is the segment's id; scores are dot products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
from qdrant_client import models

from searchkit.errors import DimensionMismatch, StoreError, UnknownId, UsageError
from searchkit.stores.base import as_among, as_ids, as_queries, as_rows, last_of_each, rank
from searchkit.stores.qdrant.client import Connection, explained
from searchkit.types import FloatArray, Hit, IdArray

__all__ = ["QdrantStore"]

_BATCH_ROWS = 256
_TIES = 16  # further hits asked for, so that equal scores at the end of a list come in order of id


class QdrantStore:
    """Rows in a Qdrant collection.

    Args:
        connection: what ``connect`` gave; released by ``close``.
        name: the collection's name on the server.
        dim: length of a vector.
        read_only: refuse writes, and do not make the collection.

    Raises:
        DimensionMismatch: the collection holds vectors of another length.
        StoreError: the server refused, or did not answer.
    """

    def __init__(self, connection: Connection, name: str, dim: int, *, read_only: bool = False) -> None:
        self._connection = connection
        self._client = connection.client
        self._name = name
        self._dim = dim
        self._read_only = read_only
        self._closed = False
        with self._call():
            if self._client.collection_exists(name):
                self._check_dim()
            elif not read_only:
                self._client.create_collection(
                    name, vectors_config=models.VectorParams(size=dim, distance=models.Distance.DOT)
                )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def __len__(self) -> int:
        with self._call():
            return self._client.count(self._name, exact=True).count if self._exists() else 0

    def upsert(self, ids: Sequence[int] | IdArray, vectors: FloatArray) -> None:
        """Insert or replace rows; see VectorStore."""
        checked = as_ids(ids)
        rows = as_rows(vectors, self._dim, len(checked))
        self._check_writable()
        chosen = last_of_each(checked)
        for start in range(0, len(chosen), _BATCH_ROWS):
            batch = chosen[start : start + _BATCH_ROWS]
            points = models.Batch(ids=checked[batch].tolist(), vectors=rows[batch].tolist())
            with self._call():
                self._client.upsert(self._name, points=points, wait=True)

    def delete(self, ids: Sequence[int] | IdArray) -> None:
        """Remove rows; unknown ids are fine."""
        checked = as_ids(ids)
        self._check_writable()
        if len(checked):
            with self._call():
                selector = models.PointIdsList(points=checked.tolist())
                self._client.delete(self._name, points_selector=selector, wait=True)

    def flush(self) -> None:
        """Nothing to do: each write has waited until Qdrant had it."""
        self._check_writable()

    def fetch(self, ids: Sequence[int] | IdArray) -> FloatArray:
        """Rows (N, dim) in the order asked.

        Raises:
            UnknownId: an id is not stored.
        """
        checked = as_ids(ids)
        known: dict[int, FloatArray] = {}
        unique = np.unique(checked)
        for start in range(0, len(unique), _BATCH_ROWS):
            with self._call():
                records = (
                    self._client.retrieve(
                        self._name,
                        ids=unique[start : start + _BATCH_ROWS].tolist(),
                        with_payload=False,
                        with_vectors=True,
                    )
                    if self._exists()
                    else []
                )
            known |= {int(record.id): np.asarray(record.vector, dtype=np.float32) for record in records}
        for id_ in checked.tolist():
            if id_ not in known:
                raise UnknownId(f"no vector has the id {id_}")
        return np.array([known[id_] for id_ in checked.tolist()], dtype=np.float32).reshape(-1, self._dim)

    def ids(self) -> IdArray:
        """All stored ids, ascending."""
        found = [id_ for chunk in self._scroll() for id_ in chunk]
        return np.sort(np.array(found, dtype=np.int64))

    def search(
        self, queries: FloatArray, k: int, *, among: Sequence[int] | IdArray | None = None
    ) -> list[list[Hit]]:
        """The k best rows for each query; see VectorStore."""
        checked, allowed = as_queries(queries, self._dim, k), as_among(among)
        condition = None
        if allowed is not None:
            if not len(allowed):
                return [[] for _ in checked]
            condition = models.Filter(must=[models.HasIdCondition(has_id=allowed.tolist())])
        requests = [
            models.QueryRequest(query=query, filter=condition, limit=k + _TIES) for query in checked.tolist()
        ]
        with self._call():
            answers = self._client.query_batch_points(self._name, requests=requests) if self._exists() else []
        if not answers:
            return [[] for _ in checked]
        return [
            rank(
                np.array([int(point.id) for point in answer.points], dtype=np.int64),
                np.array([point.score for point in answer.points], dtype=np.float32),
                k,
            )
            for answer in answers
        ]

    def close(self) -> None:
        """Release the connection; harmless when done twice."""
        if not self._closed:
            self._closed = True
            self._connection.release()

    def _scroll(self) -> Iterator[list[int]]:
        offset = None
        while True:
            with self._call():
                if not self._exists():
                    return
                records, offset = self._client.scroll(
                    self._name, limit=10_000, offset=offset, with_payload=False, with_vectors=False
                )
            yield [int(record.id) for record in records]
            if offset is None:
                return

    def _exists(self) -> bool:
        # a writer has made the collection; a reader may have come before it
        return not self._read_only or self._client.collection_exists(self._name)

    def _check_dim(self) -> None:
        vectors = self._client.get_collection(self._name).config.params.vectors
        size = vectors.size if isinstance(vectors, models.VectorParams) else None
        if size != self._dim:
            raise DimensionMismatch(
                f"the collection {self._name} holds vectors of length {size}, not {self._dim}",
                hint="use another library for another model",
            )

    def _check_writable(self) -> None:
        if self._read_only:
            raise UsageError(f"{self._name} was opened read-only")

    @contextmanager
    def _call(self) -> Iterator[None]:
        """One exchange: errors explained, and local mode's files used by one thread at a time."""
        if self._closed:
            raise StoreError(f"{self._name} was closed", hint="open the store again")
        mutex = self._connection.mutex if self._connection.local else nullcontext()
        with mutex, explained(self._connection.place):
            yield

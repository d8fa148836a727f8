"""The store in memory that scores every row: the oracle that the others agree with; it keeps no files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchkit.errors import UnknownId
from searchkit.stores.base import as_among, as_ids, as_queries, as_rows, inner_products, rank
from searchkit.stores.report import StoreReport, bad_rows
from searchkit.types import FloatArray, Hit, IdArray

__all__ = ["ExactStore"]


class ExactStore:
    """Rows in a dict, every search over all of them; for tests, and for a few thousand rows.

    Args:
        dim: length of a vector.
        dtype: what rows are rounded to when stored; float16 makes it agree with stores on disk.
    """

    def __init__(self, dim: int, *, dtype: npt.DTypeLike = np.float32) -> None:
        self._dim = dim
        self._dtype = np.dtype(dtype)
        self._rows: dict[int, FloatArray] = {}

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def __len__(self) -> int:
        return len(self._rows)

    def upsert(self, ids: Sequence[int] | IdArray, vectors: FloatArray) -> None:
        """Insert or replace rows; see VectorStore."""
        checked = as_ids(ids)
        rows = as_rows(vectors, self._dim, len(checked)).astype(self._dtype).astype(np.float32)
        # a new dict, so that a search in another thread keeps the one it has begun with
        self._rows = self._rows | dict(zip(checked.tolist(), rows, strict=True))

    def delete(self, ids: Sequence[int] | IdArray) -> None:
        """Remove rows; unknown ids are fine."""
        gone = set(as_ids(ids).tolist())
        self._rows = {id_: row for id_, row in self._rows.items() if id_ not in gone}

    def flush(self) -> None:
        """Nothing to do: there is no disk."""

    def fetch(self, ids: Sequence[int] | IdArray) -> FloatArray:
        """Rows (N, dim) in the order asked.

        Raises:
            UnknownId: an id is not stored.
        """
        rows, checked = self._rows, as_ids(ids)
        for id_ in checked.tolist():
            if id_ not in rows:
                raise UnknownId(f"no vector has the id {id_}")
        return np.array([rows[id_] for id_ in checked.tolist()], dtype=np.float32).reshape(-1, self._dim)

    def ids(self) -> IdArray:
        """All stored ids, ascending."""
        return np.sort(np.fromiter(self._rows, dtype=np.int64, count=len(self._rows)))

    def search(
        self, queries: FloatArray, k: int, *, among: Sequence[int] | IdArray | None = None
    ) -> list[list[Hit]]:
        """The k best rows for each query; see VectorStore."""
        checked, allowed = as_queries(queries, self._dim, k), as_among(among)
        rows = self._rows
        chosen = [id_ for id_ in (rows if allowed is None else allowed.tolist()) if id_ in rows]
        if not chosen:
            return [[] for _ in checked]
        ids, matrix = np.array(chosen, dtype=np.int64), np.stack([rows[id_] for id_ in chosen])
        return [rank(ids, inner_products(matrix, query), k) for query in checked]

    def verify(self) -> StoreReport:
        """Look at every row."""
        ids = self.ids()
        bad = bad_rows(self.fetch(ids))
        problems = (
            (f"the row of id {int(ids[bad[0]])} is not a finite vector of unit length",) if len(bad) else ()
        )
        return StoreReport(rows=len(ids), problems=problems)

    def close(self) -> None:
        """Nothing to release."""


def open_collection(spec: str, root: Path, name: str, dim: int, read_only: bool) -> ExactStore:
    """What the table of stores calls for ``exact``: an empty store."""
    del spec, root, name, read_only
    return ExactStore(dim)


def delete_collection(spec: str, root: Path, name: str) -> None:
    """What the table of stores calls for ``exact``: nothing outlives its store."""
    del spec, root, name

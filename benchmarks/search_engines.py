"""The engines that search.py compares, each opened and searched in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["ENGINES", "Engine", "open_engine"]

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class Engine(Protocol):
    """One index over rows 0 to N - 1."""

    def build(self, rows: Floats) -> None:
        """Write it to disk, durably."""

    def open(self) -> None:
        """Open what ``build`` wrote."""

    def search(self, queries: Floats, k: int, among: Ids | None = None) -> Ids:
        """Row numbers (Q, k)."""

    def add(self, first: int, rows: Floats) -> float | None:
        """Seconds until new rows were searchable and durable; None when it cannot add."""


class Searchkit:
    """The store that searchkit uses by default."""

    def __init__(self, folder: Path, dim: int) -> None:
        from searchkit.stores.faiss import FaissStore

        self._folder, self._dim, self._class = folder / "searchkit", dim, FaissStore

    def _store(self, *, read_only: bool) -> Any:
        return self._class(self._folder, self._dim, read_only=read_only)

    def build(self, rows: Floats) -> None:
        store = self._store(read_only=False)
        for start in range(0, len(rows), 2048):
            block = np.asarray(rows[start : start + 2048])
            store.upsert(np.arange(start, start + len(block)), block)
        store.close()

    def open(self) -> None:
        self._open = self._store(read_only=True)

    def search(self, queries: Floats, k: int, among: Ids | None = None) -> Ids:
        answers = self._open.search(queries, k, among=among)
        return np.array([[hit.id for hit in hits] + [-1] * (k - len(hits)) for hits in answers])

    def add(self, first: int, rows: Floats) -> float | None:
        store = self._store(read_only=False)
        begin_s = time.perf_counter()
        store.upsert(np.arange(first, first + len(rows)), rows)
        store.flush()
        assert store.search(rows[-1:], 1)[0][0].id == first + len(rows) - 1
        took_s = time.perf_counter() - begin_s
        store.delete(np.arange(first, first + len(rows)))
        store.close()
        return took_s


class Faiss:
    """A plain FAISS index in one file, read whole into memory."""

    def __init__(self, folder: Path, dim: int, kind: str) -> None:
        self._path, self._dim, self._kind = folder / f"{kind}.faiss", dim, kind

    def build(self, rows: Floats) -> None:
        import faiss

        if self._kind == "flat":
            index = faiss.IndexFlatIP(self._dim)
        else:
            fp16 = faiss.ScalarQuantizer.QT_fp16
            index = faiss.IndexHNSWSQ(self._dim, fp16, 16, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = 100
            index.train(np.asarray(rows[:1000]))
        for start in range(0, len(rows), 50_000):
            index.add(np.asarray(rows[start : start + 50_000]))
        faiss.write_index(index, str(self._path))

    def open(self) -> None:
        import faiss

        self._index = faiss.read_index(str(self._path))
        if self._kind == "hnsw":
            self._index.hnsw.efSearch = 256

    def search(self, queries: Floats, k: int, among: Ids | None = None) -> Ids:
        import faiss

        parameters: Any = None
        if among is not None:
            selector = faiss.IDSelectorBatch(among)
            if self._kind == "hnsw":
                parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=256)
            else:
                parameters = faiss.SearchParameters(sel=selector)
        found: Ids = self._index.search(queries, k, params=parameters)[1]
        return found

    def add(self, first: int, rows: Floats) -> float | None:
        del first, rows
        return None


class Floor:
    """No index: what reading all rows once costs, as float32; no exact scan of them can be faster."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._folder, self._dim = folder, dim

    def build(self, rows: Floats) -> None:
        del rows

    def open(self) -> None:
        path = self._folder / "rows.f32"
        self._rows = np.fromfile(path, dtype=np.float32, count=min(path.stat().st_size // 4, 1 << 28))
        self._share = self._rows.nbytes / path.stat().st_size

    def search(self, queries: Floats, k: int, among: Ids | None = None) -> Ids:
        for _ in queries:
            self._rows.max()
        return np.full((len(queries), k), -1)

    @property
    def share(self) -> float:
        """What part of the rows one search reads."""
        return self._share

    def add(self, first: int, rows: Floats) -> float | None:
        del first, rows
        return None


ENGINES = ("searchkit", "flat", "hnsw", "floor")


def open_engine(name: str, folder: Path, dim: int) -> Engine:
    """An engine by name, not opened yet."""
    if name == "searchkit":
        return Searchkit(folder, dim)
    return Floor(folder, dim) if name == "floor" else Faiss(folder, dim, name)

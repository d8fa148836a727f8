from pathlib import Path

from searchkit.stores import open_collection
from searchkit.stores.faiss import FaissStore, Tuning
from searchkit.testing import StoreContract
from searchkit.types import VectorStore


class TestFaissStore(StoreContract):
    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        return open_collection("faiss", root=place, name="c", dim=dim, read_only=read_only)


class TestFaissStoreOfManySegments(StoreContract):
    """Every few rows are sealed, and merged in the background."""

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        return FaissStore(place / "c", dim, read_only=read_only, tuning=Tuning(seal=8, tier=3))


class TestFaissStoreWithCodes(StoreContract):
    """Every segment gets codes; with so few rows all of them are rescored, so that answers stay exact."""

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        tuning = Tuning(seal=16, exact=0, coded=1, exact_allowed=0, rescored=1000)
        return FaissStore(place / "c", dim, read_only=read_only, tuning=tuning)

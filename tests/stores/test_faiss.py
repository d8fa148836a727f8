from pathlib import Path

from searchkit.stores import open_collection
from searchkit.testing import StoreContract
from searchkit.types import VectorStore


class TestFaissStore(StoreContract):
    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        return open_collection("faiss", root=place, name="c", dim=dim, read_only=read_only)

from pathlib import Path

import numpy as np

from searchkit.stores import open_collection
from searchkit.testing import StoreContract
from searchkit.types import VectorStore


class TestExactStore(StoreContract):
    row_dtype = np.float32
    persistent = shared = one_writer = False

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        return open_collection("exact", root=place, name="c", dim=dim, read_only=read_only)

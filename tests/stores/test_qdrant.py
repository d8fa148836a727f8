from pathlib import Path

import numpy as np
import pytest

from searchkit.stores import open_collection
from searchkit.testing import StoreContract
from searchkit.types import VectorStore

pytest.importorskip("qdrant_client", reason="needs the extra qdrant")


class TestQdrantLocal(StoreContract):
    row_dtype = np.float32
    shared = False

    def open_store(self, place: Path, dim: int, *, read_only: bool = False) -> VectorStore:
        return open_collection(f"qdrant+local:{place}", root=place, name="c", dim=dim, read_only=read_only)

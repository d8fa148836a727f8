"""The store that FAISS scans: immutable segment files, a manifest, a log; FAISS is imported when it pays."""

from searchkit.stores.faiss.store import FaissStore
from searchkit.stores.faiss.tuning import Tuning

__all__ = ["FaissStore", "Tuning"]

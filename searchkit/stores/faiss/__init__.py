"""The store that FAISS scans: immutable segment files, a manifest, a log; FAISS is imported when it pays."""

from searchkit.stores.faiss.store import FaissStore

__all__ = ["FaissStore"]

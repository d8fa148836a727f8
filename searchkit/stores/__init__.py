"""Vector stores by spec: a frozen table with lazy imports, all behind the one contract of VectorStore."""

from searchkit.stores.report import StoreReport, in_chunks
from searchkit.stores.spec import (
    DEFAULT_STORE,
    STORES,
    StoreInfo,
    delete_collection,
    open_collection,
    repair_collection,
    resolve_store,
)

__all__ = [
    "DEFAULT_STORE",
    "STORES",
    "StoreInfo",
    "StoreReport",
    "delete_collection",
    "in_chunks",
    "open_collection",
    "repair_collection",
    "resolve_store",
]

"""The store on Qdrant, through qdrant-client: a server over REST or gRPC, or its Python files in a folder."""

from searchkit.stores.qdrant.store import QdrantStore

__all__ = ["QdrantStore"]

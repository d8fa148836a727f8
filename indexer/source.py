"""Where files are: a path of this machine, or a URL that fsspec opens (``s3://``, ``gcs://``, ``https://``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from searchkit.indexer.hashing import content_hash
from searchkit.indexer.scan import Seen, walk

__all__ = ["hash_source", "is_url", "local_file", "walk_source"]


def is_url(path: str) -> bool:
    """Whether a path names a file on another system."""
    return "://" in path


def walk_source(
    path: str, *, root: str, exclude: Sequence[str] = (), skip: Collection[str] = ()
) -> Iterator[Seen]:
    """As ``scan.walk``, for paths and URLs."""
    return walk(path, root=root, exclude=exclude, skip=skip)


@contextmanager
def local_file(path: str) -> Iterator[Path]:
    """The file on this machine, for the time of the block.

    Raises:
        DecodeError: it cannot be read.
    """
    yield Path(path)


def hash_source(path: str) -> str:
    """The content hash of a path or URL.

    Raises:
        DecodeError: it cannot be read.
    """
    with local_file(path) as file:
        return content_hash(str(file))

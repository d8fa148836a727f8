"""Where files are: a path of this machine, or a URL that fsspec opens (``s3://``, ``gs://``, ``https://``).

Files behind a URL are fetched one by one into a temporary file, which is decoded as any other and removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import re
import shlex
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from searchkit.catalog.types import encode_path
from searchkit.errors import DecodeError, DependencyMissing, LibraryError, UsageError, reason_of
from searchkit.indexer.hashing import content_hash
from searchkit.indexer.rules import is_hidden, make_patterns
from searchkit.indexer.scan import Found, Seen, walk

__all__ = [
    "absolute",
    "exists",
    "hash_source",
    "is_url",
    "local_file",
    "require",
    "stat_source",
    "walk_source",
]

_ASKED = 1000
_ASKED_AT_ONCE = 16
_DRIVERS = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "az": "adlfs",
    "abfs": "adlfs",
    "sftp": "paramiko",
}
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(path: str) -> bool:
    """Whether a path names a file on another system."""
    return _URL.match(path) is not None


def absolute(path: str | Path) -> str:
    """A path from the root of this machine, or a URL as its system spells it, without a slash at its end.

    Raises:
        DependencyMissing: the extra ``remote`` is not installed.
        LibraryError: fsspec knows no such system.
    """
    if is_url(str(path)):
        system, inner = _open(str(path))
        return str(system.unstrip_protocol(inner)).rstrip("/")
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - resolves "..", not links


def exists(path: str) -> bool:
    """Whether there is a file or folder.

    Raises:
        LibraryError: the system that a URL names does not answer.
    """
    if not is_url(path):
        return os.path.lexists(path)
    system, inner = _open(path)
    with _named(path):
        return bool(system.exists(inner))


def require(*paths: str | Path) -> None:
    """Refuse paths where nothing is, before anything is made for them.

    Raises:
        UsageError: there is no file or folder.
        LibraryError: the system that a URL names does not answer.
    """
    for path in map(absolute, paths):
        if not exists(path):
            raise UsageError(
                f"no such file or folder: {path}",
                hint="check the name; if a disk is not mounted, mount it; "
                f"to forget what was indexed there: searchkit remove {shlex.quote(path)}",
            )


def walk_source(
    path: str, *, root: str, exclude: Sequence[str] = (), libraries: Collection[str] = ()
) -> Iterator[Seen]:
    """As ``scan.walk``, for paths and URLs; ignore files count on this machine only.

    Raises:
        LibraryError: the system that a URL names does not answer.
    """
    if not is_url(path):
        yield from walk(path, root=root, exclude=exclude, libraries=libraries)
        return
    system, inner = _open(path)
    rules = make_patterns(root, exclude)
    with _named(path):
        listing: dict[str, dict[str, Any]] = system.find(inner, detail=True)
    urls = {system.unstrip_protocol(name): facts for name, facts in listing.items()}
    chosen = [
        url
        for url in sorted(urls, key=encode_path)
        if not any(is_hidden(name) for name in url[len(root) :].lstrip("/").split("/"))
        and not rules.ignores(url, is_folder=False)
    ]
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as asking:
        for start in range(0, len(chosen), _ASKED):
            part = chosen[start : start + _ASKED]
            for url, facts in zip(part, asking.map(lambda u: _facts(system, u, urls[u]), part), strict=True):
                yield Found(url, int(facts.get("size") or 0), _mtime_ns(facts))


def _facts(system: Any, url: str, listed: dict[str, Any]) -> dict[str, Any]:
    """What is known of a file; a web server lists nothing but names, so that each is asked for."""
    if listed.get("size") is not None:
        return listed
    try:
        asked: dict[str, Any] = system.info(url)
    except Exception:  # each system has exceptions of its own; fetching it will say what is wrong
        return listed
    return asked


def stat_source(path: str) -> tuple[int, int] | None:
    """Size in bytes and time in nanoseconds; None for what cannot have changed while it was read.

    Raises:
        DecodeError: the file is gone.
    """
    if is_url(path):
        return None
    try:
        status = os.stat(path)  # noqa: PTH116 - one path type, str, throughout the scan
    except OSError as error:
        raise DecodeError(path, reason_of(error)) from error
    return status.st_size, status.st_mtime_ns


@contextmanager
def local_file(path: str) -> Iterator[Path]:
    """The file on this machine, for the time of the block.

    Raises:
        DecodeError: it cannot be fetched.
    """
    if not is_url(path):
        yield Path(path)
        return
    name = posixpath.basename(path.partition("?")[0]) or "file"
    with tempfile.TemporaryDirectory(prefix="searchkit-") as folder:
        target = Path(folder, name[-200:])
        try:
            system, inner = _open(path)
            system.get_file(inner, str(target))
        except Exception as error:  # each system has exceptions of its own
            raise DecodeError(path, f"it cannot be fetched ({type(error).__name__}: {error})") from error
        yield target


def hash_source(path: str) -> str:
    """The content hash of a path or URL.

    Raises:
        DecodeError: it cannot be read.
    """
    with local_file(path) as file:
        return content_hash(str(file))


def _open(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise DependencyMissing("fsspec", "remote") from error
    try:
        system, inner = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        scheme = url.partition("://")[0].lower()
        raise LibraryError(
            f"{url} cannot be opened: {error}",
            hint=f"pip install {_DRIVERS[scheme]}" if scheme in _DRIVERS else f"known: {', '.join(_DRIVERS)}",
        ) from error
    return system, inner


@contextmanager
def _named(url: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each system has exceptions of its own
        raise LibraryError(
            f"{url} cannot be listed: {type(error).__name__}: {error}",
            hint="check the address, and the rights of the user that asks",
        ) from error


def _mtime_ns(facts: dict[str, Any]) -> int:
    """When a file was written; where the system only tells versions apart, a number that does so."""
    for name in ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created"):
        value = facts.get(name)
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = parsedate_to_datetime(value) if "," in value else datetime.fromisoformat(value)
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return int(aware.timestamp() * 1e6) * 1000
        if isinstance(value, int | float):
            return int(value * 1e6) * 1000
    tag = str(facts.get("ETag") or facts.get("etag") or "")
    return int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=6).digest(), "big") if tag else 0

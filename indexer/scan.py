"""Walks folders and looks at the files' stat only; it opens no media file and knows no catalog."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from searchkit.catalog.types import encode_path, lies_below
from searchkit.errors import UsageError, reason_of
from searchkit.indexer.rules import (
    IGNORE_FILE,
    LIBRARY_FILES,
    Rules,
    is_hidden,
    is_of_library,
    make_rules,
    passed_over,
)

__all__ = ["Found", "Seen", "Unreadable", "outermost", "walk"]

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(slots=True)
class Found:
    """A regular file."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that cannot be looked at, or is not a regular file.

    Attributes:
        path: where.
        reason: why, for a person.
        is_folder: it could not be listed; nothing is known of what lies below it.
        is_there: it, or what lies below it, may be as it was; only the look at it failed.
    """

    path: str
    reason: str
    is_folder: bool = False
    is_there: bool = False


Seen: TypeAlias = Found | Unreadable


def outermost(paths: Sequence[str]) -> list[str]:
    """The paths in order, without those that lie within others."""
    chosen = sorted(set(paths), key=encode_path)
    return [path for path in chosen if not any(path != other and lies_below(path, other) for other in chosen)]


def walk(
    path: str, *, root: str | None = None, exclude: Sequence[str] = (), libraries: Collection[str] = ()
) -> Iterator[Seen]:
    """Walk a file or folder, in the order in which a catalog lists paths.

    Hidden files, system files, files of libraries, and what patterns exclude are passed over. Links to files
    are followed, links to folders are not (they could loop). A path that does not exist gives nothing.

    Args:
        path: the absolute path of a file or folder.
        root: the folder at or above ``path`` whose ignore files and ``exclude`` hold; None for ``path``.
        exclude: patterns as in a ``.searchkitignore`` at the root.
        libraries: folders of libraries that cannot be told by their files: the catalog may be elsewhere.

    Raises:
        UsageError: a pattern of ``exclude`` is none.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - os.scandir's DirEntry and this share one path type: str
    except OSError as error:
        if error.errno not in _GONE or os.path.lexists(path):
            yield _unreadable(path, error, is_folder=False)
        return
    base = root or (path if stat.S_ISDIR(status.st_mode) else os.path.dirname(path))  # noqa: PTH120
    rules = make_rules(base, base, exclude)
    if path.rstrip("/") != base.rstrip("/"):
        parent = os.path.dirname(path)  # noqa: PTH120
        rules = make_rules(base, parent, exclude)
        try:
            rules = rules.below(parent, has_file=Path(parent, IGNORE_FILE).is_file())
        except UsageError as error:
            yield Unreadable(os.path.join(parent, IGNORE_FILE), error.message)  # noqa: PTH118
        if root is not None and passed_over(base, path, rules):
            return
    if stat.S_ISDIR(status.st_mode):
        yield from _folder(path, rules, libraries)
    else:
        yield _file(path, status)


def _folder(top: str, rules: Rules, libraries: Collection[str]) -> Iterator[Seen]:
    """What lies below a folder; an explicit stack, since folders may be nested deeper than calls may."""
    stack: list[tuple[Iterator[os.DirEntry[str]], Rules]] = []
    folder: str | None = top
    while folder is not None or stack:
        if folder is not None:
            try:
                entries, has_file = _listed(folder, is_library=folder in libraries)
            except OSError as error:
                yield _unreadable(folder, error, is_folder=True)
            else:
                try:
                    rules = rules.below(folder, has_file=has_file)
                except UsageError as error:
                    yield Unreadable(os.path.join(folder, IGNORE_FILE), error.message)  # noqa: PTH118
                stack.append((iter(entries), rules))
            folder = None
            continue
        entries_left, rules = stack[-1]
        for entry in entries_left:
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules.ignores(entry.path, is_folder=is_folder):
                continue
            if is_folder:
                folder = entry.path
                break
            try:
                status = entry.stat()
            except OSError as error:
                yield _unreadable(entry.path, error, is_folder=False)
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield _file(entry.path, status)
        else:
            stack.pop()


def _listed(folder: str, *, is_library: bool) -> tuple[list[os.DirEntry[str]], bool]:
    """A folder's entries in a catalog's order, without what is a library's; whether it has an ignore file."""
    keyed: list[tuple[str, os.DirEntry[str]]] = []
    has_file = False
    of_a_library = 0
    with os.scandir(folder) as listing:
        for entry in listing:
            name = entry.name
            if is_hidden(name):
                has_file = has_file or name == IGNORE_FILE
                continue
            of_a_library += name in LIBRARY_FILES
            # What lies in a folder has its name and a slash in front.
            end = "/" if entry.is_dir(follow_symlinks=False) else ""
            keyed.append((encode_path(name) + end, entry))
    if is_library or of_a_library == len(LIBRARY_FILES):
        keyed = [(key, entry) for key, entry in keyed if not is_of_library(entry.name)]
    keyed.sort(key=_key)
    return [entry for _, entry in keyed], has_file


def _key(keyed: tuple[str, object]) -> str:
    return keyed[0]


def _file(path: str, status: os.stat_result) -> Seen:
    if stat.S_ISREG(status.st_mode):
        return Found(path, status.st_size, status.st_mtime_ns)
    return Unreadable(path, "it is not a regular file")


def _unreadable(path: str, error: OSError, *, is_folder: bool) -> Unreadable:
    reason = reason_of(error)
    return Unreadable(path, reason, is_folder=is_folder, is_there=error.errno not in _GONE)

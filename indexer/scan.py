"""Walks folders and looks at the files' stat only; it opens no file and knows no catalog."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Found", "Scan", "Unreadable", "scan"]

_SYSTEM_NAMES = frozenset({"Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information", "@eaDir"})


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that cannot be looked at, or is not a regular file."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a walk saw, in the order of the walk.

    Attributes:
        found: regular files.
        unreadable: what could not be looked at.
        closed: folders that could not be listed; nothing is known of what lies below them.
    """

    found: list[Found]
    unreadable: list[Unreadable]
    closed: list[str]


def scan(paths: Sequence[str], *, skip: Sequence[Path] = ()) -> Scan:
    """Walk files and folders.

    Hidden files, system files and the folders of ``skip`` are passed over. Links to files are followed, links
    to folders are not (they could loop). A file that is reached twice is listed once.

    Args:
        paths: absolute paths of files or folders.
        skip: folders that are passed over, such as the library's own.
    """
    result = Scan([], [], [])
    skipped = {str(path) for path in skip}
    seen: set[str] = set()
    for path in paths:
        for entry in _walk(path, skipped, result):
            if entry.path not in seen:
                seen.add(entry.path)
                result.found.append(entry)
    return result


def _walk(path: str, skipped: set[str], result: Scan) -> Iterator[Found]:
    try:
        status = os.stat(path)  # noqa: PTH116 - os.scandir's DirEntry and this share one path type: str
    except OSError as error:
        result.unreadable.append(Unreadable(path, _reason(error)))
        return
    if not stat.S_ISDIR(status.st_mode):
        yield from _regular(path, status, result)
        return
    stack = [path]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            result.unreadable.append(Unreadable(folder, _reason(error)))
            result.closed.append(folder)
            continue
        folders: list[str] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SYSTEM_NAMES:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.path not in skipped:
                        folders.append(entry.path)
                elif not (entry.is_symlink() and entry.is_dir()):
                    yield from _regular(entry.path, entry.stat(), result)
            except OSError as error:
                result.unreadable.append(Unreadable(entry.path, _reason(error)))
        stack.extend(reversed(folders))


def _regular(path: str, status: os.stat_result, result: Scan) -> Iterator[Found]:
    if stat.S_ISREG(status.st_mode):
        yield Found(path, status.st_size, status.st_mtime_ns)
    else:
        result.unreadable.append(Unreadable(path, "it is not a regular file"))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

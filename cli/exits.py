"""The one table of exit codes, and which error ends with which."""

from __future__ import annotations

import errno
from enum import IntEnum
from pathlib import Path

from searchkit import errors

__all__ = ["Exit", "exit_for", "explain_os_error"]


class Exit(IntEnum):
    """What the shell sees; README lists the same table."""

    OK = 0
    NO_MATCH = 1
    USAGE = 2
    LIBRARY = 3
    MEDIA = 4
    MODEL = 5
    STORE = 6
    DISK_FULL = 7
    NOT_CLEAN = 8
    INTERNAL = 70
    INTERRUPTED = 130


_TABLE: tuple[tuple[type[errors.SearchkitError], Exit], ...] = (
    (errors.UsageError, Exit.USAGE),
    (errors.QueryError, Exit.USAGE),
    (errors.LibraryError, Exit.LIBRARY),
    (errors.DecodeError, Exit.MEDIA),
    (errors.EncoderError, Exit.MODEL),
    (errors.CheckpointError, Exit.MODEL),
    (errors.DownloadError, Exit.MODEL),
    (errors.DependencyMissing, Exit.MODEL),
    (errors.StoreError, Exit.STORE),
    (errors.DiskFull, Exit.DISK_FULL),
)


def exit_for(error: errors.SearchkitError) -> Exit:
    """The exit code of an error."""
    return next((code for kind, code in _TABLE if isinstance(error, kind)), Exit.INTERNAL)


_OF_A_PATH = {
    errno.EACCES: "check the permissions of it and of its folder",
    errno.EPERM: "check the permissions of it and of its folder",
    errno.EROFS: "choose a place that is not mounted read-only",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "check the name",
    errno.EISDIR: "name a file in it",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def explain_os_error(error: OSError) -> tuple[str, str, Exit] | None:
    """Message, hint and exit code where the system refuses a path or is full; None for what may be a bug."""
    from searchkit.durable import is_full

    reason = errors.reason_of(error)
    place = error.filename2 or error.filename
    if is_full(error):
        return f"{place or 'the output'}: {reason}", "free some space and try again", Exit.DISK_FULL
    if place is None and error.errno == errno.ENOENT and not _has_current_folder():
        return "the current folder is not there any more", "go to another one: cd", Exit.USAGE
    if place is None or isinstance(place, int) or error.errno not in _OF_A_PATH:
        return None
    return f"{place}: {reason}", _OF_A_PATH[error.errno], Exit.USAGE


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True

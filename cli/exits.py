"""The one table of exit codes, and which error ends with which."""

from __future__ import annotations

from enum import IntEnum

from searchkit import errors

__all__ = ["Exit", "exit_for"]


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

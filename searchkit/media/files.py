"""Opening files safely, and turning what libraries raise into DecodeError; knows no format."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from searchkit.errors import DecodeError
from searchkit.media.cut import missing_bytes

__all__ = ["check_size", "check_whole", "decoding", "format_bytes", "open_regular", "printable"]

_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EACCES: "it may not be read (permission denied)",
    errno.EPERM: "it may not be read (permission denied)",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EISDIR: "it is a folder",
    errno.EIO: "the disk reports a read error",
    errno.ESTALE: "the network drive no longer has it",
}

_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a named pipe, not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
)


def _check_regular(path: Path, mode: int) -> None:
    for is_kind, reason in _KINDS:
        if is_kind(mode):
            raise DecodeError(path, reason)
    if not stat.S_ISREG(mode):
        raise DecodeError(path, "it is not a regular file")


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular, non-empty file for reading.

    Raises:
        DecodeError: it is missing, unreadable, empty, or not a regular file.
    """
    try:
        # Asked before opening, because opening a device or a pipe can already act or block.
        _check_regular(path, path.stat().st_mode)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise DecodeError(path, _os_reason(error)) from error
    except ValueError as error:
        raise DecodeError(path, "its name holds a zero byte") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_regular(path, status.st_mode)
        if status.st_size == 0:
            raise DecodeError(path, "the file is empty")
        yield file


def check_size(path: Path, file: BinaryIO, limit_bytes: int, setting: str) -> None:
    """Refuse a file that is too big to be read whole.

    Raises:
        DecodeError: it has more bytes than the limit.
    """
    size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes > limit_bytes:
        raise DecodeError(
            path,
            f"it has {format_bytes(size_bytes)}, more than the limit of {format_bytes(limit_bytes)}",
            hint=f"raise {setting} to read it",
        )


def check_whole(path: Path, file: BinaryIO) -> None:
    """Refuse a file whose end is missing.

    Raises:
        DecodeError: it announces more bytes than it has.
    """
    missing = missing_bytes(file)
    if missing:
        raise DecodeError(path, f"it is cut off: {format_bytes(missing)} are missing at its end")


def format_bytes(count: int) -> str:
    """A count of bytes as a person writes it."""
    size, units = float(count), ("bytes", "kB", "MB", "GB", "TB")
    for unit in units:
        if size < 1000 or unit == units[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


@contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a library raises inside into DecodeError; ``kind`` is what the file should hold."""
    try:
        yield
    except DecodeError:
        raise
    except MemoryError as error:
        raise DecodeError(path, f"there is not enough memory to decode the {kind}") from error
    except OSError as error:
        known = error.errno in _REASONS and type(error).__module__ == "builtins"
        raise DecodeError(path, _os_reason(error) if known else _damaged(path, kind, error)) from error
    except Exception as error:
        raise DecodeError(path, _damaged(path, kind, error)) from error


def _os_reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0) or f"it cannot be read ({error.strerror or error})"


def _damaged(path: Path, kind: str, error: BaseException) -> str:
    detail = getattr(error, "strerror", None) or str(error)
    detail = detail.replace(repr(str(path)), "the file").replace(str(path), "the file")
    detail = printable(re.sub(r"^Error opening [^:]*: |^\[Errno -?\d+\] ", "", detail)).strip().rstrip(".")
    return f"the {kind} is damaged or cut off ({detail or type(error).__name__})"


def printable(text: str, limit_chars: int = 200) -> str:
    """Foreign text, fit for one line of an error or a title."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() or c.isspace() else "�" for c in text))
    return line if len(line) <= limit_chars else line[: limit_chars - 1] + "…"

"""Durable writes: the only place that replaces a file on disk; it knows nothing of what it writes."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from searchkit.errors import DiskFull, UsageError

__all__ = ["disk_full_guard", "fsync_folder", "replace_file", "whole_folder", "write_bytes", "write_text"]


# The mask can only be read by setting it; done once, before there are threads that make files.
_UMASK = os.umask(0o077)
os.umask(_UMASK)


def fsync_folder(folder: Path) -> None:
    """Make renames, creations and deletions inside a folder survive a power cut."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_full(error: OSError) -> bool:
    """Whether the system says that there is no space left, or that a quota is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_full_guard(what: Path | str) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into DiskFull that names what was being written.

    Raises:
        DiskFull: the device is full.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull(
                f"no space left while writing {what}", hint="free some space, then run the same command again"
            ) from error
        raise


def _open_to_others(fd: int) -> None:
    """Give a temporary file the mode of an ordinary new one; it is made readable by its owner only."""
    if os.name != "nt":
        os.fchmod(fd, 0o666 & ~_UMASK)


@contextmanager
def replace_file(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: temporary file, fsync, rename, fsync of the folder.

    Args:
        path: the file.
        sync: False for what can be made or sent again: readers still find all of it or nothing, but a power
            cut may take it, and nobody waits for the disk.

    Yields:
        A binary file open for writing in the same folder; it becomes ``path`` when the block ends without
        an exception, otherwise it is removed and ``path`` is as it was.

    Raises:
        DiskFull: the device is full.
    """
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:  # it names the temporary file, which means nothing to whoever reads it
        raise OSError(error.errno, error.strerror, str(path)) from error
    temporary = Path(name)
    try:
        with disk_full_guard(path):
            with os.fdopen(fd, "wb") as file:
                _open_to_others(fd)
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
            if sync:
                fsync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Fill a new folder whole or not at all; what an earlier, killed attempt left is removed.

    Yields:
        A folder beside it, which becomes ``folder`` when the block ends without an exception.

    Raises:
        UsageError: there is something at ``folder`` already.
        DiskFull: the device is full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty", hint="name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{folder.name}.*.partial"):
        shutil.rmtree(stale, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".partial"))
    try:
        with disk_full_guard(folder):
            yield partial
            partial.chmod(0o755)
            fsync_folder(partial)
            if folder.exists():
                folder.rmdir()
            partial.replace(folder)
            fsync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content durably.

    Raises:
        DiskFull: the device is full.
    """
    with replace_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Replace a file's content durably, as UTF-8.

    Raises:
        DiskFull: the device is full.
    """
    write_bytes(path, content.encode())

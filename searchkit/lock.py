"""One writer at a time: a lock file that names its holder; the system frees it when the process ends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

from searchkit.errors import LibraryError, LibraryLocked, SearchkitError, reason_of

if os.name == "nt":
    import msvcrt
else:
    import fcntl

__all__ = ["WriterLock"]


class WriterLock:
    """An exclusive lock on a file, held until ``release`` or the end of the process.

    Args:
        path: the lock file; made when it is missing, and left behind (a leftover file locks nothing).
        what: what is being protected, for the message.
        error: the exception to raise when another process holds it.

    Attributes:
        was_left: a holder ended without releasing it: it was killed, or died. So it stays for later holders
            until one of them has seen to what was left behind, and sets it to False.

    Raises:
        LibraryLocked (or ``error``): another process, named by its id, holds the lock.
        LibraryError: the lock file cannot be made or opened.
    """

    def __init__(self, path: Path, what: str, *, error: type[SearchkitError] = LibraryLocked) -> None:
        try:
            # Unbuffered, so that closing it never has anything left to write.
            self._file = path.open("a+b", buffering=0)
        except OSError as refused:
            raise LibraryError(
                f"{what} cannot be written: {path}: {reason_of(refused)}",
                hint="check the permissions of its folder, and that its disk is not mounted read-only",
            ) from refused
        try:
            if os.name == "nt":
                self._file.seek(1 << 20)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as blocked:
            self._file.seek(0)
            holder = self._file.read(32).decode(errors="replace").strip() or "unknown"
            self._file.close()
            raise error(
                f"{what} is being written to by another process (id {holder})",
                hint=f"wait until process {holder} has finished, then run the command again",
            ) from blocked
        self._file.seek(0)
        self.was_left = bool(self._file.read(1))
        # The lock holds without a name; on a full disk nobody learns whose it is.
        with contextlib.suppress(OSError):
            self._file.truncate(0)
            self._file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Let others write; calling it again does nothing."""
        with contextlib.suppress(ValueError):
            if not self.was_left:
                with contextlib.suppress(OSError):
                    self._file.truncate(0)
            self._file.close()

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

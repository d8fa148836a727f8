"""A folder that is made beside its place under a hidden name, and moved there when it is whole.

A kill leaves the hidden folder; whoever begins the same again finds it, and goes on or clears it away.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from searchkit.durable import disk_full_guard, fsync_folder, write_text
from searchkit.errors import UsageError
from searchkit.lock import WriterLock

__all__ = ["Landing"]

_LOCK = "unfinished.lock"
_ORDER = "unfinished.json"


class Landing:
    """The hidden folder, held by this process until the block ends.

    Args:
        place: where the folder will be.
        what: what it will be, for messages: "a library".
        hint: what to do when something is there.

    Raises:
        UsageError: something is there already.
        LibraryLocked: another process is making the same.
        DiskFull: the device is full.
    """

    def __init__(self, place: Path, what: str, *, hint: str) -> None:
        self._what, self._hint = what, hint
        # without following a link at the end of it, which a rename would not follow either
        self.place = Path(os.path.abspath(place.expanduser()))  # noqa: PTH100
        self._refuse_occupied()
        self.folder = self.place.with_name(f".{self.place.name}.unfinished")
        with disk_full_guard(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(self.folder / _LOCK, f"{what} at {self.place}")

    @property
    def order(self) -> dict[str, Any]:
        """What was asked for when the folder was begun; empty when that is not known."""
        try:
            found = json.loads((self.folder / _ORDER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def begin(self, order: Mapping[str, Any]) -> None:
        """Clear the folder and note what is to be made in it."""
        for path in self.folder.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        write_text(self.folder / _ORDER, json.dumps(order) + "\n")

    def land(self) -> None:
        """Move the folder to its place, durably.

        Raises:
            UsageError: something has come to be there meanwhile.
        """
        self._refuse_occupied()
        (self.folder / _ORDER).unlink(missing_ok=True)
        (self.folder / _LOCK).unlink(missing_ok=True)
        fsync_folder(self.folder)
        if self.place.exists():
            self.place.rmdir()
        self.folder.rename(self.place)
        fsync_folder(self.place.parent)

    def give_up(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _refuse_occupied(self) -> None:
        if self.place.is_dir() and not any(self.place.iterdir()):
            return
        if self.place.exists() or self.place.is_symlink():
            raise UsageError(f"{self.place} is there already, and {self._what} is made anew", hint=self._hint)

    def __enter__(self) -> Landing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.folder.is_dir() and not (self.folder / _ORDER).exists():
            self.give_up()  # nothing was begun
        self._lock.release()

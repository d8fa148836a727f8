"""Opens a file with the program that the desktop has for it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import typer

from searchkit.errors import UsageError

__all__ = ["open_file"]


def open_file(path: Path) -> None:
    """Open a file as a double click would.

    Raises:
        UsageError: there is no such file any more, or no program to open it with.
    """
    if not path.exists():
        raise UsageError(
            f"no such file any more: {path}", hint="searchkit index brings the library up to date"
        )
    has_opener = os.name == "nt" or sys.platform == "darwin" or shutil.which("xdg-open")
    if not has_opener or typer.launch(str(path.absolute())) != 0:
        raise UsageError(
            f"this machine has no program that opens {path}",
            hint="on a machine without a desktop, leave --open out",
        )

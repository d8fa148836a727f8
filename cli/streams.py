"""Standard output and standard error where nobody reads them, or they were closed before the start."""

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["drop_output", "open_missing_streams"]


def open_missing_streams() -> None:
    """Python has no stream where a program was started with a closed one (``>&-``)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def drop_output() -> None:
    """Let what is still to be printed go nowhere: Python would try once more at its end, and fail again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

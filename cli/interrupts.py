"""How a command that works for long gets along with others: its priority, and what Ctrl-C does to it."""

from __future__ import annotations

import os
import threading
from typing import Any

from searchkit.cli.output import note

__all__ = ["be_nice", "stopper"]


def be_nice(level: int) -> None:
    """Lower this process's priority, and that of the processes it starts."""
    if level and hasattr(os, "nice"):
        os.nice(max(0, min(level, 19)))


def stopper(stop: threading.Event) -> Any:
    """What Ctrl-C does to a run: the first ends it after the batch in hand, the second at once."""

    def on_interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("finishing the batch in hand; press Ctrl-C again to stop at once")

    return on_interrupt

"""A line on the terminal for whatever takes longer than a second; nothing where no person watches."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

from searchkit.cli.output import status_line

__all__ = ["Report", "waiting"]

Report = Callable[[str, int, int], None]
"""Takes a step's name, how much of it is done, and how much there is (0 where unknown)."""

_PATIENCE_S = 1.0
_REDRAW_S = 0.1
_BAR = 24


@contextlib.contextmanager
def waiting(what: str) -> Iterator[Report]:
    """Say what goes on when the block takes longer than a second; take reports of how far it is."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: None
        return
    state = (what, 0, 0)

    def report(step: str, done: int, total: int) -> None:
        nonlocal state
        state = step, done, total

    ended = threading.Event()

    def draw() -> None:
        if ended.wait(_PATIENCE_S):
            return
        turn = 0
        while not ended.wait(_REDRAW_S):
            status_line(_drawn(turn, *state))
            turn += 1
        status_line("")

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    try:
        yield report
    finally:
        ended.set()
        drawing.join()


def _drawn(turn: int, step: str, done: int, total: int) -> str:
    spinner = "|/-\\"[turn % 4]
    if not total:
        return f"{spinner} {step} ..."
    filled = min(_BAR, _BAR * done // total)
    return f"{spinner} {step} [{'#' * filled}{'.' * (_BAR - filled)}] {done} of {total}"

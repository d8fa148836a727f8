"""Progress of an index run: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchkit.cli.output import note

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from searchkit.indexer import Progress

__all__ = ["open_progress"]

_LINE_EVERY_S = 10.0


@contextlib.contextmanager
def open_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress display for the time of a run.

    Args:
        quiet: show nothing, unless standard error is a terminal.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        with RichProgress(
            TextColumn("{task.description:>8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as bars:
            yield _Bars(bars)
    elif quiet:
        from searchkit.indexer import NO_PROGRESS

        yield NO_PROGRESS
    else:
        yield _Lines()


class _Bars:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[TaskID, float]] = {}
        self._latest = ""

    def stage(self, name: str, total: int | None) -> None:
        if name not in ("decode", "embed"):
            for task, _ in self._tasks.values():
                known = self._bars.tasks[task]
                self._bars.update(task, total=known.completed if known.total is None else known.total)
        if name in self._tasks:
            task = self._tasks[name][0]
            done = int(self._bars.tasks[task].completed)
            self._bars.update(task, total=None if total is None else done + total)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total, rate=""), time.monotonic()
        self._latest = name

    def advance(self, files: int = 1, *, stage: str | None = None) -> None:
        task, started = self._tasks[stage or self._latest]
        rate = (self._bars.tasks[task].completed + files) / max(time.monotonic() - started, 1e-3)
        self._bars.update(task, advance=files, rate=f"{rate:.1f}/s")

    def failed(self, path: str, reason: str) -> None:
        del path, reason


class _Lines:
    def __init__(self) -> None:
        self._totals: dict[str, int | None] = {}
        self._done: dict[str, int] = {}
        self._latest = ""
        self._said_at = time.monotonic()

    def stage(self, name: str, total: int | None) -> None:
        if name not in self._totals:
            self._done[name] = 0
        self._totals[name] = None if total is None else self._done[name] + total
        self._latest = name
        if total is not None and name != "decode":
            note(f"{name}: {total} files")

    def advance(self, files: int = 1, *, stage: str | None = None) -> None:
        name = stage or self._latest
        self._done[name] += files
        if name == self._latest and time.monotonic() - self._said_at >= _LINE_EVERY_S:
            self._said_at = time.monotonic()
            note(f"{name}: {self._done[name]} of {self._totals[name] or '?'}")

    def failed(self, path: str, reason: str) -> None:
        del path, reason

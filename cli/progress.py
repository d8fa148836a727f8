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
        self._task: TaskID | None = None
        self._started = time.monotonic()

    def stage(self, name: str, total: int | None) -> None:
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=task.completed if task.total is None else task.total)
        self._task = self._bars.add_task(name, total=total, rate="")
        self._started = time.monotonic()

    def advance(self, files: int = 1) -> None:
        if self._task is None:
            return
        done = self._bars.tasks[self._task].completed + files
        rate = done / max(time.monotonic() - self._started, 1e-3)
        self._bars.update(self._task, advance=files, rate=f"{rate:.1f}/s")

    def failed(self, path: str, reason: str) -> None:
        del path, reason


class _Lines:
    def __init__(self) -> None:
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._said_at = time.monotonic()

    def stage(self, name: str, total: int | None) -> None:
        self._name, self._total, self._done = name, total, 0
        if total is not None:
            note(f"{name}: {total} files")

    def advance(self, files: int = 1) -> None:
        self._done += files
        if time.monotonic() - self._said_at >= _LINE_EVERY_S:
            self._said_at = time.monotonic()
            note(f"{self._name}: {self._done} of {self._total or '?'}")

    def failed(self, path: str, reason: str) -> None:
        del path, reason

"""Structured logs: each event of the library as one JSON object on a line of a file."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["LogJsonOption", "json_logs"]

LogJsonOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--log-json", help="Append what happens as JSON lines; - for standard error.", show_default=False
    ),
]

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        event.update((name, value) for name, value in vars(record).items() if name not in _OWN)
        return json.dumps(event, default=str)


@contextlib.contextmanager
def json_logs(to: Path | None) -> Iterator[None]:
    """Write the library's log to a file for the time of the block; None writes nothing."""
    if to is None:
        yield
        return
    stream = sys.stderr if str(to) == "-" else to.open("a", encoding="utf-8")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines())
    logger = logging.getLogger("searchkit")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        if stream is not sys.stderr:
            stream.close()

"""``searchkit errors``: files that could not be indexed."""

from __future__ import annotations

from pathlib import Path

from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import line, note, print_json, shown_path

__all__ = ["errors"]


def errors(library: LibraryOption = None, json: JsonFlag = False) -> None:
    """List the files that could not be read, with the reason.

    Example: searchkit errors
    """
    from searchkit.library import open_library

    with open_library(library, create=False, read_only=True) as opened:
        failures = opened.errors()
    if json:
        listed = [
            {"path": failure.path, "reason": failure.reason, "at": failure.at.isoformat()}
            for failure in failures
        ]
        print_json({"errors": listed})
        return
    for failure in failures:
        line(f"{shown_path(Path(failure.path))}: {failure.reason}")
    if failures:
        note("try them again: searchkit index --retry-failed")
    else:
        note("no file failed")

"""``searchkit remove``: take files and folders out of a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import line, print_json
from searchkit.cli.waiting import waiting

__all__ = ["remove"]


def remove(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)],
    library: LibraryOption = None,
    json: JsonFlag = False,
) -> None:
    """Take files and folders out of the library; the files themselves stay on disk.

    Example: searchkit remove ~/Pictures/private
    """
    from searchkit.library import open_library

    with open_library(library, create=False) as opened, waiting("removing"):
        count = opened.remove(*paths)
    if json:
        print_json({"removed": count})
    else:
        line(f"removed {count} files from the library; the files themselves were not touched")

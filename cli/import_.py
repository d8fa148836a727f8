"""``searchkit import``: a library from what ``searchkit export`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption, StoreOption
from searchkit.cli.output import line, print_json, shown_path
from searchkit.cli.waiting import waiting

__all__ = ["import_"]


def import_(
    export: Annotated[Path, typer.Argument(help="The folder of an export.", show_default=False)],
    library: LibraryOption = None,
    store: StoreOption = None,
    json: JsonFlag = False,
) -> None:
    """Make a new library of an export: the same ids, files, spans and vectors.

    Files that are still as they were when they were exported need no embedding when they are indexed again.

    Example: searchkit import ./vectors --library ~/library
    """
    from searchkit.config import default_library
    from searchkit.indexer.moving import import_library

    with waiting("importing") as report:
        done = import_library(export, library or default_library(), store=store or "faiss", report=report)
    if json:
        print_json(done.to_dict())
    else:
        line(f"imported {done.assets} files, {done.segments} vectors into {shown_path(done.library)}")

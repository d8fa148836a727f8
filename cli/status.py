"""``searchkit status``: what a library holds."""

from __future__ import annotations

from typing import Annotated

import typer

from searchkit.cli.errors import errors as list_errors
from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import line, print_json, shown_path

__all__ = ["status"]


def status(
    library: LibraryOption = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="List the files that failed, as `searchkit errors` does.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Show what a library holds: files, vectors, folders, the last run.

    Example: searchkit status --json
    """
    from searchkit.library import open_library

    if errors:
        list_errors(library, json)
        return
    with open_library(library, create=False, read_only=True) as opened:
        held = opened.status()
    if json:
        print_json(held.to_dict())
        return
    line(f"library   {shown_path(held.folder)}")
    line(f"folders   {', '.join(held.roots) or 'none yet'}")
    files = ", ".join(f"{count} {modality.value}" for modality, count in held.assets.items())
    line(f"files     {files or 'none'}")
    line(f"failed    {held.failed}" + (" (`searchkit errors` lists them)" if held.failed else ""))
    for space in held.spaces:
        line(f"space     {space}")
    for name, count in held.segments.items():
        line(f"vectors   {count} in {name}")
    if held.last_run is not None:
        run = held.last_run
        line(f"last run  {run.started_at:%Y-%m-%d %H:%M} UTC, {run.state.value}")

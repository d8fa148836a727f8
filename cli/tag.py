"""``searchkit tag``: put words on files, take them off, list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import line, note, print_json, table

__all__ = ["tag"]


def tag(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders of the library.", show_default=False)
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", help="A tag to put on.", show_default=False)
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="A tag to take off.", show_default=False)
    ] = None,
    library: LibraryOption = None,
    json: JsonFlag = False,
) -> None:
    """Tag files and folders, for --where tag:WORD; without paths, list all tags.

    Example: searchkit tag ~/Pictures/2019 --add holiday --remove inbox
    """
    from searchkit.library import open_library

    changing = bool(add or remove)
    with open_library(library, create=False, read_only=not changing) as opened:
        if changing:
            count = opened.tag(*(paths or ()), add=add or (), remove=remove or ())
        counts = opened.tags()
    if json:
        print_json({"tags": counts, "changed": count} if changing else {"tags": counts})
    elif changing:
        line(f"{count} files")
    elif counts:
        table(("tag", "files"), [(name, str(number)) for name, number in counts.items()])
    else:
        note("no tags yet: searchkit tag PATH --add WORD")

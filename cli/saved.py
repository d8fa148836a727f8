"""``searchkit saved``: list saved queries, delete them."""

from __future__ import annotations

from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import note, print_json, table

__all__ = ["saved"]


def saved(
    delete: Annotated[
        list[str] | None,
        typer.Option("--delete", metavar="NAME", help="Forget this one.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    json: JsonFlag = False,
) -> None:
    """List the queries that `searchkit query --save NAME` kept; `searchkit query @NAME` recalls one.

    Example: searchkit saved --delete barks
    """
    from searchkit.library import open_library

    with open_library(library, create=False, read_only=not delete) as opened:
        for name in delete or ():
            opened.delete_query(name.removeprefix("@"))
        rows = list(opened.saved_queries().values())
    if json:
        print_json({"queries": [row.to_dict() for row in rows]})
    elif rows:
        columns = [
            (f"@{row.name}", row.source, row.to or "", row.where or "", "; ".join(row.prompts))
            for row in rows
        ]
        table(("name", "query", "to", "where", "prompts"), columns)
    else:
        note("no query is saved: searchkit query --save NAME ...")

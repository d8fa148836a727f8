"""``searchkit export``: vectors with their ids, paths and spans, as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption, ToOption, WhereOption
from searchkit.cli.output import line, print_json, shown_path
from searchkit.cli.waiting import waiting
from searchkit.errors import UsageError

__all__ = ["export"]


def export(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", show_default=False)],
    parquet: Annotated[bool, typer.Option("--parquet", help="One Parquet file for each collection.")] = False,
    npy: Annotated[
        bool, typer.Option("--npy", help="Vectors for numpy, and a line of JSON for each row.")
    ] = False,
    to: ToOption = None,
    where: WhereOption = None,
    library: LibraryOption = None,
    json: JsonFlag = False,
) -> None:
    """Export vectors with their ids, paths, spans and space, for other programs and `searchkit import`.

    Example: searchkit export ./vectors --parquet --to image --where 'path:2019/**'
    """
    from searchkit.library import open_library

    if parquet == npy:
        raise UsageError("choose one format", hint="searchkit export FOLDER --parquet (or --npy)")
    with open_library(library, create=False, read_only=True) as opened, waiting("exporting") as report:
        done = opened.export(
            folder, kind="parquet" if parquet else "npy", to=to, where=where, progress=report
        )
    if json:
        print_json(done.to_dict())
        return
    for name, count in done.collections.items():
        line(f"{name}: {count} vectors")
    line(f"exported {done.assets} files, {done.segments} vectors to {shown_path(done.folder)}")

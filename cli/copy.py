"""``searchkit copy``: move a library to another folder, store or database without embedding again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import CatalogOption, JsonFlag, StoreOption
from searchkit.cli.output import line, note, print_json, shown_path
from searchkit.cli.waiting import waiting

__all__ = ["copy"]


def copy(
    source: Annotated[Path, typer.Argument(metavar="LIBRARY", help="The library to copy.")],
    target: Annotated[Path, typer.Argument(metavar="NEW", help="A folder that does not exist yet.")],
    store: StoreOption = None,
    catalog: CatalogOption = None,
    json: JsonFlag = False,
) -> None:
    """Copy a library to another folder, store or database, ids and all, without embedding anything again.

    Files, segments, tags, saved queries, words and the history of runs come along. After an interruption the
    same command goes on; until the copy is whole there is no library at NEW.

    Example: searchkit copy ~/library ~/library-on-server --store qdrant://localhost:6333
    """
    from searchkit.library import open_library

    with open_library(source, create=False, read_only=True) as opened, waiting("copying") as report:
        done = opened.copy(target, store=store or "faiss", catalog=catalog or "", progress=report)
    if json:
        print_json(done.to_dict())
        return
    line(f"copied {done.assets} files, {done.segments} vectors to {shown_path(done.library)} ({done.store})")
    if done.sent < done.segments:
        note(f"{done.segments - done.sent} vectors were there from a copy that was interrupted")

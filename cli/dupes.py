"""``searchkit dupes``: files that are there twice, or nearly."""

from __future__ import annotations

from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption, ToOption, WhereOption
from searchkit.cli.output import line, note, print_json, print_paths, shown_path, shown_size
from searchkit.cli.waiting import waiting

__all__ = ["dupes"]


def dupes(
    to: ToOption = None,
    where: WhereOption = None,
    exact: Annotated[bool, typer.Option("--exact", help="Only files of equal content.")] = False,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="Lowest cosine of near-duplicates.", show_default=False),
    ] = None,
    paths: Annotated[
        bool, typer.Option("--paths", help="Print only the paths, of each group all but the first.")
    ] = False,
    nul: Annotated[bool, typer.Option("-0", help="With --paths: end each with NUL, for xargs -0.")] = False,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Group files of equal content, and files that nearly coincide; nothing is deleted.

    Example: searchkit dupes --to image --exact
    """
    from searchkit.library import open_library

    with (
        open_library(library, create=False, read_only=True, model=model, model_dir=model_dir) as opened,
        waiting("comparing") as report,
    ):
        groups = opened.duplicates(to=to, threshold=threshold, where=where, near=not exact, progress=report)
    if json:
        print_json({"groups": [group.to_dict() for group in groups]})
    elif paths or nul:
        print_paths(dict.fromkeys(file.path for group in groups for file in group.files[1:]), nul=nul)
    elif not groups:
        note("no duplicates")
    else:
        for group in groups:
            how = (
                "equal content" if group.kind == "exact" else f"alike, cosine {group.similarity:.3f} or more"
            )
            line(f"{len(group.files)} {group.modality.value} files, {how}:")
            for file in group.files:
                line(f"  {shown_size(file.size_bytes):>9}  {shown_path(file.path)}")
        spare = sum(group.spare_bytes for group in groups if group.kind == "exact")
        note(f"{len(groups)} groups; copies of equal content take {shown_size(spare)}")

"""``searchkit verify``: check a library, and repair it."""

from __future__ import annotations

from typing import Annotated

import typer

from searchkit.cli.exits import Exit
from searchkit.cli.options import JsonFlag, LibraryOption
from searchkit.cli.output import line, note, print_json
from searchkit.cli.waiting import waiting

__all__ = ["verify"]


def verify(
    library: LibraryOption = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Drop damaged files and stray vectors; have what is lost embedded by the next run.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> int:
    """Check the catalog's file, every vector file, and that catalog and vectors agree both ways.

    Example: searchkit verify --repair && searchkit index
    """
    from searchkit.library import open_library

    with open_library(library, create=False, read_only=not repair) as opened, waiting("checking"):
        report = opened.verify(repair=repair)
    if json:
        print_json(report.to_dict())
        return Exit.OK if report.clean else Exit.NOT_CLEAN
    for check in report.collections:
        wrong = [f"{check.missing} missing"] * bool(check.missing)
        wrong += [f"{check.orphans} without a segment"] * bool(check.orphans)
        wrong += [f"{check.stale} with fields that differ from the catalog's"] * bool(check.stale)
        wrong += [check.damage] * bool(check.damage)
        line(
            f"{check.name}: {check.segments} segments, {check.vectors} vectors, {'; '.join(wrong) or 'clean'}"
        )
    for dropped in report.dropped:
        note(f"dropped: {dropped}")
    if report.unfinished:
        line(f"{report.unfinished} rows of a run that did not end; the next run clears them")
    if report.embed_again:
        note(f"{report.embed_again} files will be embedded again: searchkit index")
    line("clean" if report.clean else "not clean")
    if not report.clean and not repair:
        note("mend it: searchkit verify --repair && searchkit index")
    return Exit.OK if report.clean else Exit.NOT_CLEAN

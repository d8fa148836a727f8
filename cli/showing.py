"""Shows the results of a query to a person: on the terminal, as a page, and what is not among them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.cli.output import note, print_previewed, print_results
from searchkit.cli.waiting import waiting

if TYPE_CHECKING:
    from searchkit.types import Result, Results

__all__ = ["say_what_is_missing", "show_results", "write_page"]

_LIKELY = 0.2


def show_results(shown: Sequence[Result], *, previews: bool = True) -> None:
    """A table, or on a terminal that can, previews beside the names."""
    if not previews or not sys.stdout.isatty():
        print_results(shown)
        return
    from searchkit.cli.preview import Graphics, graphics_of, preview_of

    if (graphics := graphics_of()) is Graphics.NONE:
        print_results(shown)
    else:
        print_previewed(shown, (preview_of(result, graphics) for result in shown))


def write_page(file: Path, results: Results, shown: Sequence[Result]) -> None:
    """The results as one HTML file.

    Raises:
        UsageError: the file cannot be written.
    """
    from searchkit.cli.contact_sheet import write_contact_sheet

    with waiting("drawing") as progress:
        write_contact_sheet(file, results, shown, progress=progress)
    note(f"wrote {file}")


def say_what_is_missing(results: Results, shown: int, to: str | None) -> None:
    """That nothing was found, that some are hidden, or that even the best is unlikely."""
    hidden = len(results) - shown
    likely = max(
        (1.0 if r.match is None or r.found_by != ("vectors",) else r.match for r in results), default=0
    )
    if not len(results):
        note("nothing found" + (f" among {to}" if to else ""))
    elif not shown:
        note(f"no good match; --all shows the {hidden} nearest")
    elif hidden:
        note(f"{hidden} more are no good match; --all shows them")
    if shown and likely < _LIKELY:
        note(f"none is likely: the best has a probability of {likely:.0%}")

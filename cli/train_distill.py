"""``searchkit train distill``: a small model that places a library's things as a large one did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import HeldoutOption, JsonFlag, LibraryOption, OutFolderOption, SeedOption
from searchkit.cli.output import line, note, print_json, table
from searchkit.cli.training_output import print_skipped
from searchkit.cli.waiting import waiting

__all__ = ["distill"]


def distill(
    out: OutFolderOption = Path("student"),
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="The large model (default: the library's).")
    ] = None,
    teacher_dir: Annotated[
        Path | None, typer.Option("--teacher-dir", help="Where its files lie.", show_default=False)
    ] = None,
    student: Annotated[str, typer.Option("--student", help="The small model that gets a head.")] = "mini",
    captions: Annotated[
        Path | None,
        typer.Option("--captions", help="Lines that people may search with.", show_default=False),
    ] = None,
    heldout: HeldoutOption = 0.2,
    max_files: Annotated[int, typer.Option("--max-files", help="Learn from so many files.")] = 20_000,
    seed: SeedOption = 0,
    library: LibraryOption = None,
    json: JsonFlag = False,
) -> None:
    """Teach a small model from the vectors that a library holds of a large one.

    The report says which share of the large model's nearest neighbours the small one finds too, for files
    that it did not learn from.

    Example: searchkit train distill --library ./photos --teacher one-peace --out ./student
    """
    from searchkit.training.distill import distill as train

    with waiting("loading the models") as report:
        found = train(
            out,
            library=library,
            teacher=teacher,
            teacher_dir=teacher_dir,
            student=student,
            captions=captions,
            heldout=heldout,
            max_files=max_files,
            seed=seed,
            progress=report,
        )
    if json:
        print_json(found.to_dict())
        return
    print_skipped(found.skipped)
    note(f"{found.files[0]} files learned from, {found.files[1]} held out, {found.seconds:.1f} s")
    rows = [
        (
            f"{each.source} to {each.target}",
            str(each.queries),
            f"{each.student:.3f}",
            f"{each.before:.3f}",
            f"{each.chance:.3f}",
        )
        for each in found.agreements
    ]
    table(("shared neighbours", "queries", "student", "before", "chance"), rows)
    line(str(found.folder))

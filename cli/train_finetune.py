"""``searchkit train finetune``: fit a model to one's own pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import (
    HeldoutOption,
    JsonFlag,
    LibraryOption,
    ModelDirOption,
    ModelOption,
    OutFolderOption,
    SeedOption,
)
from searchkit.cli.output import line, note, print_json
from searchkit.cli.training_output import print_comparison, print_skipped
from searchkit.cli.waiting import waiting

__all__ = ["finetune"]


def finetune(
    pairs: Annotated[
        Path | None, typer.Argument(help="Pairs that belong together: JSON lines.", show_default=False)
    ] = None,
    out: OutFolderOption = Path("finetuned"),
    method: Annotated[
        str, typer.Option("--method", help="projection (any model, no torch), lora or full (ONE-PEACE).")
    ] = "projection",
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Learn from the likes and unlikes of saved queries.")
    ] = False,
    default: Annotated[
        bool, typer.Option("--default", help="Have the library use the result, unless it is worse.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Accept a result that is worse.")] = False,
    heldout: HeldoutOption = 0.2,
    epochs: Annotated[int | None, typer.Option("--epochs", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", show_default=False)] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", show_default=False)] = None,
    rank: Annotated[int, typer.Option("--rank", help="Of what lora adds.")] = 8,
    seed: SeedOption = 0,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Fit a model to your own pairs, and measure it before and after on pairs that it never saw.

    A line of the file: {"text": "our red mug", "image": "mug.jpg"}; docs/training.md has more. The result
    is a folder that --model takes, with a space of its own: index once with it. A result that finds less
    than before is refused (exit code 5).

    Example: searchkit train finetune pairs.jsonl --model mini --out ./mine
    """
    from searchkit.training import finetune as training

    options = training.FineTuneOptions(
        method=method,
        heldout=heldout,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        rank=rank,
    )
    with waiting("loading the model") as report:
        found = training.finetune(
            pairs,
            out,
            library=library,
            model=model,
            model_dir=model_dir,
            feedback=feedback,
            options=options,
            progress=report,
        )
    if json:
        print_json(found.to_dict())
    else:
        print_skipped(found.skipped)
        note(f"{found.trained} pairs trained on, {found.heldout} held out, {found.seconds:.1f} s")
        print_comparison(found.comparison)
        line(str(found.folder))
    if not force:
        found.refuse_if_worse()
    if default:
        made = training.make_default(found, library, force=force)
        note(f"{made} uses it from now on: `searchkit index` embeds its files with it")

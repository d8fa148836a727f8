"""``searchkit train align``: add a modality to a model whose trunk stays as it is."""

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
from searchkit.cli.training_output import print_retrieval, print_skipped
from searchkit.cli.waiting import waiting

__all__ = ["align"]


def align(
    pairs: Annotated[Path, typer.Argument(help="Pairs of the new modality and a known one.")],
    modality: Annotated[str, typer.Option("--modality", help="The new one, such as depth.")],
    out: OutFolderOption = Path("aligned"),
    heldout: HeldoutOption = 0.2,
    epochs: Annotated[int, typer.Option("--epochs")] = 10,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 1e-3,
    batch_size: Annotated[int, typer.Option("--batch-size")] = 64,
    seed: SeedOption = 0,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Add a modality to a ONE-PEACE model: only its adapter and feed-forward networks train.

    A line of the file: {"text": "stairs to the cellar", "depth": "scan12.png"}; see docs/new-modality.md.

    Example: searchkit train align scans.jsonl --model ./one-peace --modality depth --out ./with-depth
    """
    from searchkit.training import open_training

    training = open_training("align")
    with waiting("loading the model") as report:
        found = training.align(
            pairs,
            out,
            modality=modality,
            library=library,
            model=model,
            model_dir=model_dir,
            heldout=heldout,
            options=open_training("contrastive").ContrastOptions(
                epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, seed=seed
            ),
            progress=report,
        )
    if json:
        print_json(found.to_dict())
        return
    print_skipped(found.skipped)
    note(f"{found.trained} pairs trained {found.parameters:,} numbers in {found.seconds:.1f} s")
    print_retrieval([("held out", found.found)])
    line(str(found.folder))

"""``searchkit train curves``: the logs of runs as a picture."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.output import line
from searchkit.training import open_training

__all__ = ["curves"]


class Over(StrEnum):
    """What runs along the picture."""

    step = "step"
    seconds = "seconds"
    pairs = "pairs"


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    to: Annotated[Path, typer.Option("--to", help="The picture: .png, .svg or .pdf.")] = Path("curves.png"),
    over: Annotated[Over, typer.Option("--over", help="What runs along the picture.")] = Over.step,
) -> None:
    """Draw the logs of pretraining runs beside each other.

    Example: searchkit train curves runs/image runs/audio --to curves.png
    """
    line(str(open_training("pretrain.curves").draw_curves(runs, to, over=over.value)))

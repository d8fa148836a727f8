"""``searchkit models quantize``: a model's matrices in few bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag
from searchkit.cli.output import line, note, print_json, shown_size
from searchkit.cli.training_output import print_comparison
from searchkit.cli.waiting import waiting

__all__ = ["quantize"]


def quantize(
    model: Annotated[Path, typer.Argument(help="A converted ONE-PEACE model's folder.")],
    out: Annotated[Path, typer.Argument(help="The folder to create.")],
    bits: Annotated[int, typer.Option("--bits", help="8 or 4.")] = 8,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="Measure the recall it costs on these pairs.", show_default=False),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write a model again with its matrices in 8 or 4 bits, and say what that costs in bytes and recall.

    Example: searchkit models quantize ./one-peace ./one-peace-4bit --bits 4 --pairs mine.jsonl
    """
    from searchkit.training import open_training

    with waiting("loading the model") as report:
        found = open_training("quantise").quantise(model, out, bits=bits, pairs_file=pairs, progress=report)
    if json:
        print_json(found.to_dict())
        return
    note(f"{shown_size(found.bytes_before)} became {shown_size(found.bytes_after)}")
    note(f"cosine to the model before: mean {found.cosine_mean:.4f}, lowest {found.cosine_min:.4f}")
    if found.comparison is not None:
        print_comparison(found.comparison)
    line(str(found.folder))

"""``searchkit classify``: what a sound is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, ModelDirOption
from searchkit.cli.output import print_json, table
from searchkit.cli.waiting import waiting

__all__ = ["classify"]


def classify(
    sound: Annotated[Path, typer.Argument(help="A sound file; its first 15 seconds are heard.")],
    k: Annotated[int, typer.Option("-k", help="How many classes.", min=1)] = 5,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Names of the classes as JSON (default: labels.json of the model)."),
    ] = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Name a sound: its most likely classes, best first.

    Needs a model that classifies sounds: searchkit models pull one-peace-vggsound

    Example: searchkit classify bark.wav -k 3
    """
    from searchkit import one_peace

    with waiting("listening"):
        found = one_peace.classify_sound(sound, k=k, model=model_dir or "one-peace-vggsound", labels=labels)
    if json:
        listed = [{"class": c.number, "name": c.name, "probability": c.probability} for c in found]
        print_json({"classes": listed})
        return
    rows = [(f"{c.probability:.3f}", c.name or f"class {c.number}") for c in found]
    table(("", "class"), rows)

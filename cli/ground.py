"""``searchkit ground``: the box of what a text names in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, ModelDirOption
from searchkit.cli.output import line, print_json
from searchkit.cli.waiting import waiting

__all__ = ["ground"]


def ground(
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    text: Annotated[str, typer.Argument(help='What to find, such as "the man in the red shirt".')],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write the picture with the box (default: IMAGE-box.png here)."),
    ] = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Find what a text names in a picture: print its box in pixels and draw it into a PNG file.

    Needs a model that gives boxes: searchkit models pull one-peace-grounding

    Example: searchkit ground street.jpg "the red car" --out found.png
    """
    from searchkit import one_peace

    with waiting("looking"):
        box = one_peace.ground(image, text, model=model_dir or "one-peace-grounding")
    target = None
    if box.is_well_formed:
        target = out or Path(f"{image.stem}-box.png")
        one_peace.draw_box(image, box, target)
    corners = [round(value, 1) for value in (box.x0_px, box.y0_px, box.x1_px, box.y1_px)]
    if json:
        print_json({"box_px": corners, "found": box.is_well_formed, "out": str(target) if target else None})
    elif target:
        line(f"x {corners[0]} to {corners[2]}, y {corners[1]} to {corners[3]}: {target}")
    else:
        line("not found: the model's box has no inside")

"""``searchkit embed``: vectors of words, sounds and pictures, as a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption
from searchkit.cli.output import line, print_json
from searchkit.cli.waiting import waiting

__all__ = ["embed"]

_KINDS = ("text", "audio", "image", "expr")


def embed(
    text: Annotated[list[str] | None, typer.Option("--text", help="Words.", show_default=False)] = None,
    audio: Annotated[
        list[str] | None, typer.Option("--audio", help="A sound file.", show_default=False)
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", help="A picture file.", show_default=False)
    ] = None,
    expr: Annotated[
        list[str] | None,
        typer.Option("--expr", help="A query: 'depth:hall.png', or a sum of terms.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Where to write the (N, dim) float32 array.")] = Path(
        "embeddings.npy"
    ),
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Write embeddings as a NumPy file: one unit row for each option, in the order given.

    Example: searchkit embed --text "a dog" --audio bark.wav --out two.npy
    """
    from searchkit.embedding import embed_files, save_rows

    given = {"text": text or [], "audio": audio or [], "image": image or [], "expr": expr or []}
    terms = _in_order(given, sys.argv)
    with waiting("embedding"):
        rows, space = embed_files(terms, library=library, model=model, model_dir=model_dir)
    save_rows(out, rows)
    if json:
        listed = [{"kind": kind, "value": value} for kind, value in terms]
        print_json({"out": str(out), "space": space.fingerprint, "dim": space.dim, "rows": listed})
    else:
        line(f"{rows.shape[0]} x {rows.shape[1]} float32 of space {space} in {out}")


def _in_order(given: dict[str, list[str]], arguments: Sequence[str]) -> list[tuple[str, str]]:
    """The options as they were typed; the parser keeps no order between different options."""
    left = {kind: list(values) for kind, values in given.items()}
    ordered: list[tuple[str, str]] = []
    for argument in arguments:
        kind = argument.split("=", 1)[0].removeprefix("--")
        if argument.startswith("--") and kind in _KINDS and left[kind]:
            ordered.append((kind, left[kind].pop(0)))
    ordered.extend((kind, value) for kind, values in left.items() for value in values)
    return ordered

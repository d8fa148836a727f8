"""``searchkit models``: what can embed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from searchkit.cli import quantize
from searchkit.cli.bytes_progress import open_bytes_progress
from searchkit.cli.options import JsonFlag
from searchkit.cli.output import line, print_json, table

__all__ = ["app"]

DtypeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--dtype", help="Store weights as float32, bfloat16 or float16 (default: as in the checkpoint)."
    ),
]

app = typer.Typer(
    name="models", help="List models, and fetch those that do not ship with searchkit.", no_args_is_help=True
)


@app.callback()
def _models() -> None:
    """List models, and fetch those that do not ship with searchkit."""


app.command("quantize")(quantize.quantize)


@app.command("list")
def list_models(json: JsonFlag = False) -> None:
    """List the models that `--model` takes.

    Example: searchkit models list
    """
    from searchkit.encoders import ENCODERS, model_folders

    known = [*ENCODERS.values(), *model_folders()]

    if json:
        print_json(
            {
                "models": [
                    {
                        "name": info.name,
                        "modalities": sorted(modality.value for modality in info.modalities),
                        "licence": info.licence,
                        "built_in": info.built_in,
                        "extra": info.extra,
                        "summary": info.summary,
                    }
                    for info in known
                ]
            }
        )
        return
    rows = [(info.name, ", ".join(sorted(info.modalities)), info.licence, info.summary) for info in known]
    table(("name", "embeds", "licence", ""), rows)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="Such as one-peace, one-peace-grounding, one-peace-vggsound.")],
    root: Annotated[
        Path | None, typer.Option("--to", help="Where models are kept (default: SEARCHKIT_MODELS).")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Fetch the checkpoint from a mirror.")] = None,
    dtype: DtypeOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded checkpoint as well.")] = False,
) -> None:
    """Download a published checkpoint and convert it, once; a broken download goes on where it stopped.

    Example: searchkit models pull one-peace --dtype bfloat16
    """
    from searchkit.one_peace.pull import pull_model as pull

    with open_bytes_progress() as progress:
        folder = pull(name, root=root, url=url, dtype=dtype, keep_checkpoint=keep, progress=progress)
    line(str(folder))


@app.command("convert")
def convert_model(
    checkpoint: Annotated[Path, typer.Argument(help="A ONE-PEACE checkpoint, FILE.pt.")],
    folder: Annotated[Path, typer.Argument(help="The folder to create.")],
    dtype: DtypeOption = None,
    bpe: Annotated[
        Path | None, typer.Option("--bpe", help="A folder with other vocab.bpe and dict.txt files.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="`task` and `model` sections, for a checkpoint without them."),
    ] = None,
) -> None:
    """Turn a checkpoint into a folder that --model-dir takes; nothing in the file is ever executed.

    Example: searchkit models convert one-peace.pt ./one-peace
    """
    from searchkit.one_peace.convert import convert_checkpoint, read_config_file

    settings = read_config_file(config) if config else None
    with open_bytes_progress() as progress:
        convert_checkpoint(
            checkpoint,
            folder,
            dtype=dtype,
            bpe_dir=bpe,
            config=settings,
            progress=lambda done, total: progress("convert", done, total),
        )
    line(str(folder))

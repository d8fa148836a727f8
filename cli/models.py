"""``searchkit models``: what can embed."""

from __future__ import annotations

import typer

from searchkit.cli.options import JsonFlag
from searchkit.cli.output import print_json, table
from searchkit.encoders import ENCODERS

__all__ = ["app"]

app = typer.Typer(
    name="models", help="List models, and fetch those that do not ship with searchkit.", no_args_is_help=True
)


@app.callback()
def _models() -> None:
    """List models, and fetch those that do not ship with searchkit."""


@app.command("list")
def list_models(json: JsonFlag = False) -> None:
    """List the models that `--model` takes.

    Example: searchkit models list
    """
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
                    for info in ENCODERS.values()
                ]
            }
        )
        return
    rows = [
        (info.name, ", ".join(sorted(info.modalities)), info.licence, info.summary)
        for info in ENCODERS.values()
    ]
    table(("name", "embeds", "licence", ""), rows)

"""``searchkit train``: the group of commands that change a model; each one lies in a file of its own."""

from __future__ import annotations

import typer

from searchkit.cli import train_align, train_curves, train_distill, train_finetune, train_pretrain

__all__ = ["app"]

app = typer.Typer(
    name="train", help="Train models: pretrain one, fit one to your own pairs.", no_args_is_help=True
)


@app.callback()
def _train() -> None:
    """Train models. Needs the extra: pip install 'searchkit[train]'."""


app.command("pretrain")(train_pretrain.pretrain)
app.command("curves")(train_curves.curves)
app.command("finetune")(train_finetune.finetune)
app.command("align")(train_align.align)
app.command("distill")(train_distill.distill)

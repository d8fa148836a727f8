"""Draws the logs of runs beside each other: losses, partners found, and the length of the gradient."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl

from searchkit.durable import replace_file
from searchkit.errors import UsageError
from searchkit.training.pretrain.runs import RunFolder

__all__ = ["draw_curves"]

Row = dict[str, str]
_PANELS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("contrast between modalities (loss)", lambda name: name in ("itc_loss", "atc_loss")),
    ("denoising contrast (mean loss)", lambda name: name.startswith("dcl_")),
    ("partners found in the batch", lambda name: name.endswith("_accuracy")),
    ("length of the gradient", lambda name: name == "gradient_norm"),
)


def draw_curves(runs: Sequence[Path], target: Path, *, over: str = "step") -> Path:
    """Write a picture of the runs' logs.

    Args:
        runs: folders of runs.
        target: the picture; its ending decides the format.
        over: "step", "seconds" or "pairs".

    Raises:
        UsageError: a folder holds no log.
    """
    mpl.use("Agg")
    from matplotlib import pyplot

    logs = {run.name: _read(run) for run in runs}
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 6.4), constrained_layout=True)
    for axis, (title, wanted) in zip(axes.flat, _PANELS, strict=True):
        for name, rows in logs.items():
            columns = [column for column in rows[0] if wanted(column)]
            points = [
                (float(row[over]), sum(float(row[c]) for c in columns) / len(columns))
                for row in rows
                if columns and all(row.get(c) for c in columns)
            ]
            if points:
                x, y = zip(*points, strict=True)
                (drawn,) = axis.plot(x, y, alpha=0.3, linewidth=1)
                axis.plot(x, _smooth(y), color=drawn.get_color(), label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(over)
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    with replace_file(target) as file:
        figure.savefig(file, dpi=110, format=target.suffix.lstrip(".") or "png")
    pyplot.close(figure)
    return target


def _read(run: Path) -> list[Row]:
    path = RunFolder(run).log_path
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name the folder of a run") from error
    if not rows:
        raise UsageError(f"{path}: the log is empty", hint="let the run go on for a while")
    return rows


def _smooth(values: Sequence[float], rate: float = 0.8) -> list[float]:
    """An exponential average, started at the first value."""
    smoothed = [values[0]]
    for value in values[1:]:
        smoothed.append(rate * smoothed[-1] + (1 - rate) * value)
    return smoothed

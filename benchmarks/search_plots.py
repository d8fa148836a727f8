"""Draws what search.py measured: time and memory over size, and recall against time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["draw"]

_NAMES = {
    "searchkit": "searchkit",
    "flat": "FAISS IndexFlatIP",
    "hnsw": "FAISS HNSW (fp16, M 16, ef 256)",
    "floor": "memory bandwidth, float32",
}
_COLOURS = {"searchkit": "#0b6e4f", "flat": "#8a8d91", "hnsw": "#d1495b", "floor": "#c9b458"}


def draw(results: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write the plots as PNG and return where."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    engines = [name for name in _NAMES if any(result["engine"] == name for result in results)]

    def over_rows(file: str, title: str, unit: str, key: str) -> Path:
        figure, axes = pyplot.subplots(figsize=(6.4, 4))
        for name in engines:
            points = [(result["rows"], result[key]) for result in results if result["engine"] == name]
            style = "--" if name == "floor" else "-"
            axes.plot(*zip(*points, strict=True), style, marker="o", color=_COLOURS[name], label=_NAMES[name])
        axes.set(xlabel="vectors", ylabel=unit, title=title, xscale="log", yscale="log")
        return _save(pyplot, figure, axes, folder / file)

    def recall() -> Path:
        figure, axes = pyplot.subplots(figsize=(6.4, 4))
        for name in (engine for engine in engines if engine != "floor"):
            largest = max((r for r in results if r["engine"] == name), key=lambda result: result["rows"])
            for key, marker, kind in (("recall_in", "o", "same modality"), ("recall_x", "s", "another")):
                axes.plot(
                    largest["p50_cpu_ms"],
                    largest[key],
                    marker,
                    color=_COLOURS[name],
                    label=f"{_NAMES[name]}, {kind}, {largest['rows']:,}",
                )
        axes.set(
            xlabel="ms for a query, one thread",
            ylabel="recall@10",
            title="recall against time, each at its largest size",
            xscale="log",
        )
        return _save(pyplot, figure, axes, folder / "search_recall.png")

    plots: list[Callable[[], Path]] = [
        lambda: over_rows("search_time.png", "one query, one thread, k = 10", "ms (median)", "p50_cpu_ms"),
        lambda: over_rows("search_memory.png", "memory of the process's own", "MB", "private_mb"),
        recall,
    ]
    return [plot() for plot in plots]


def _save(pyplot: Any, figure: Any, axes: Any, path: Path) -> Path:
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return path

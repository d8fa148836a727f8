"""``searchkit train pretrain``: one stage of pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.output import line, note
from searchkit.training import open_training

__all__ = ["pretrain"]


def pretrain(
    run: Annotated[Path, typer.Argument(help="The run's folder: settings, log, checkpoint, model.")],
    sources: Annotated[
        list[Path], typer.Argument(help="Manifests (.jsonl), shards (.tar), folders of them.")
    ],
    modality: Annotated[
        str | None, typer.Option("--modality", help="image (first stage) or audio (second).")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="A run or a model folder to take weights from.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="The model's shape: nano or one-peace.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1)] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Pairs a step, over all processes.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Its peak.")] = None,
    denoising: Annotated[
        float | None, typer.Option("--denoising", help="Weight of the denoising losses; 0 for none.")
    ] = None,
    bf16: Annotated[
        bool | None, typer.Option("--bf16/--no-bf16", help="Autocast to bfloat16.", show_default=False)
    ] = None,
    recompute: Annotated[
        bool | None,
        typer.Option("--recompute/--no-recompute", help="Gradient checkpointing.", show_default=False),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1)] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="JSON with any of the settings that a run writes down.")
    ] = None,
) -> None:
    """Pretrain ONE-PEACE: text with images, then text with sounds. A stopped run goes on, to the bit.

    On several processes: torchrun --nproc-per-node 2 -m searchkit train pretrain ...

    Example: searchkit train pretrain runs/image pairs.jsonl --preset nano --steps 2000
    """
    training = open_training("pretrain")
    chosen = training.read_settings(
        settings,
        {
            "modality": modality,
            "preset": preset,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "denoising": denoising,
            "bf16": bf16,
            "recompute": recompute,
            "threads": threads,
            "seed": seed,
        },
    )

    def report(step: int, steps: int, row: Mapping[str, float]) -> None:
        if step % chosen.log_every == 0 or step == steps:
            shown = "  ".join(f"{name} {value:.3f}" for name, value in row.items() if "loss" in name)
            note(f"step {step} of {steps}  {shown}")

    folder = training.pretrain(run, sources, chosen, start=start, progress=report)
    if training.leads():
        line(str(folder))

"""Weights to begin a run with: those of another run, decoder included, or of a converted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from searchkit.errors import CheckpointError
from searchkit.one_peace.branches import ModelFolder, is_derived, open_model_folder
from searchkit.one_peace.weights import FolderWeights
from searchkit.training.pretrain.runs import RunFolder

__all__ = ["Start", "fill_from", "read_start"]


@dataclass(frozen=True, slots=True)
class Start:
    """Weights by parameter name, and the tokenizer that belongs to them."""

    weights: Mapping[str, Tensor]
    tokenizer: str


def read_start(path: Path) -> Start:
    """Read a finished run, its averaged weights, or a converted model.

    Raises:
        ModelNotFound: it is neither.
        ModelCorrupt: a file of it is damaged.
        CheckpointError: its checkpoint cannot be read.
    """
    run = RunFolder(path)
    folder = open_model_folder(run.model_path if run.settings_path.is_file() else path)
    weights = _read_branches(folder)
    if state := run.load():
        averages = state["average"]["values"] if state["average"] else {}
        weights = {**state["model"], **weights, **averages}
    return Start(weights, folder.tokenizer_path.read_text(encoding="utf-8"))


def _read_branches(folder: ModelFolder) -> dict[str, Tensor]:
    source = FolderWeights(folder)
    return {key: value for branch in folder.branches for key, value in source.branch(branch).items()}


def fill_from(model: nn.Module, start: Start, name: str) -> None:
    """Take every weight that the start has; the others keep their own.

    Raises:
        CheckpointError: a weight has another shape, or none fits.
    """
    own = {key: value for key, value in model.state_dict().items() if not is_derived(key)}
    shared = own.keys() & start.weights.keys()
    if not any(key.startswith("encoder_wrapper.fusion_model.") for key in shared):
        raise CheckpointError(f"{name}: none of its weights fit this model", hint="use the same preset")
    with torch.no_grad():
        for key in shared:
            found, wanted = tuple(start.weights[key].shape), tuple(own[key].shape)
            if found != wanted:
                raise CheckpointError(f"{name}: {key} is {found}, this model's is {wanted}")
            own[key].copy_(start.weights[key])

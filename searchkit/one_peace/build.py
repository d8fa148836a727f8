"""Builds a model from its configuration and loads weights into it; it does not read files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from searchkit.errors import CheckpointError
from searchkit.one_peace.branches import is_derived
from searchkit.one_peace.classify import ClassifyModel
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.pretrain import PretrainModel
from searchkit.one_peace.retrieval import RetrievalModel
from searchkit.one_peace.wrapper import init_parameters

__all__ = ["Model", "build_model", "load_weights"]

Model: TypeAlias = RetrievalModel | ClassifyModel | PretrainModel
_KINDS: dict[str, type[RetrievalModel] | type[ClassifyModel] | type[PretrainModel]] = {
    "one_peace_retrieval": RetrievalModel,
    "one_peace_classify": ClassifyModel,
    "one_peace_pretrain": PretrainModel,
}


def build_model(config: ModelConfig, *, device: str = "cpu") -> Model:
    """A model with start values; on device "meta" it takes no memory and has no values."""
    with torch.device(device):
        model = _KINDS[config.kind](config)
        if device != "meta":
            init_parameters(model)
    return model


def load_weights(model: Model, weights: Mapping[str, Tensor], *, assign: bool = False) -> None:
    """Load weights strictly; derived tensors in them are ignored.

    Args:
        model: what `build_model` made.
        weights: by the published parameter names.
        assign: take the tensors themselves in place of copying their values.

    Raises:
        CheckpointError: a tensor is missing, unknown or of the wrong shape.
    """
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: value for key, value in weights.items() if not is_derived(key)}
    missing, unknown = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    misfits = [
        f"{key} is {tuple(given[key].shape)}, the config says {shape}"
        for key, shape in wanted.items()
        if key in given and tuple(given[key].shape) != shape
    ]
    problems = [
        *(f"{key} is missing" for key in missing),
        *(f"{key} is unknown" for key in unknown),
        *misfits,
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"the weights do not fit the config: {'; '.join(problems[:3])}{more}")
    model.load_state_dict(given, assign=assign)

"""AdamW's parameter groups with layer decay, the learning rate's course, the moving average of weights."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage", "cosine_rate", "layer_scale", "parameter_groups"]

_LAYER = re.compile(r"^encoder_wrapper\.fusion_model\.layers\.(\d+)\.")
_ADAPTER = re.compile(r"^encoder_wrapper\.[a-z]+_adapter\.")
_TABLE = re.compile(
    r"(embed_tokens|embed_positions)\.weight$|pos_embed$|_embedding$|_embedding_2$|mask_token$|\.rel_pos_table_list\."
)


def layer_scale(name: str, layers: int, decay: float) -> float:
    """What a parameter's learning rate is multiplied by: `decay` to the power of its depth below the heads.

    Layer-wise decay as in BEiT (arXiv 2106.08254): adapters are the lowest, heads and the decoder take all.
    """
    if _ADAPTER.match(name):
        return decay ** (layers + 1)
    found = _LAYER.match(name)
    return decay ** (layers - int(found.group(1))) if found else 1.0


def parameter_groups(
    model: nn.Module, *, layers: int, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, object]]:
    """Groups for AdamW, each with its `lr_scale`; frozen parameters are in none.

    Vectors, embeddings and tables take no weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.dim() < 2 or _TABLE.search(name) is not None
        key = (layer_scale(name, layers, layer_decay), 0.0 if plain else weight_decay)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr_scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def cosine_rate(step: int, *, steps: int, warmup_steps: int, peak: float, floor: float = 0.0) -> float:
    """The learning rate of a step, from 0: a linear rise, then half a cosine from `peak` to `floor`."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return floor + (peak - floor) * (1 + math.cos(math.pi * done)) / 2


class MovingAverage:
    """An exponential moving average of a model's trainable parameters.

    The first steps count more: the rate is at most (1 + n) / (10 + n) after n updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {name: p.detach().clone() for name, p in _trainable(model)}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's weights."""
        self.updates += 1
        rate = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = [(self.values[name], p) for name, p in _trainable(model)]
        torch._foreach_lerp_([a for a, _ in pairs], [p for _, p in pairs], 1 - rate)

    def averaged(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's state with averages in place of what is averaged."""
        return {name: self.values.get(name, value) for name, value in model.state_dict().items()}

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"updates": self.updates, "values": self.values}

    def load(self, state: Mapping[str, object]) -> None:
        """Take back what `state` gave."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        values: Mapping[str, Tensor] = state["values"]  # type: ignore[assignment]
        for name, value in self.values.items():
            value.copy_(values[name])


def _trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)

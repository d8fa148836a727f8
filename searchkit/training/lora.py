"""Low-rank changes of linear layers (LoRA, Hu et al., ICLR 2022), and folding them into the layers again."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["LoraLinear", "add_lora", "merge_lora"]

_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")


class LoraLinear(nn.Module):
    """A frozen linear layer plus ``x A B``, which is nothing at first."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.lora_down = nn.Parameter(torch.empty(rank, layer.in_features, device=layer.weight.device))
        self.lora_up = nn.Parameter(torch.zeros(layer.out_features, rank, device=layer.weight.device))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        changed: Tensor = self.layer(x) + (x @ self.lora_down.t()) @ self.lora_up.t()
        return changed

    def merged(self) -> nn.Linear:
        """The layer with the change folded in."""
        with torch.no_grad():
            self.layer.weight.add_(self.lora_up @ self.lora_down)
        return self.layer


def add_lora(model: nn.Module, rank: int) -> dict[str, nn.Parameter]:
    """Put a low-rank change on every projection of the trunk's attention; returns what is to be trained."""
    parameters: dict[str, nn.Parameter] = {}
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and ".self_attn." in path and path.rpartition(".")[2] in _LAYERS:
            changed = LoraLinear(module, rank)
            model.set_submodule(path, changed)
            parameters[f"{path}.lora_down"] = changed.lora_down
            parameters[f"{path}.lora_up"] = changed.lora_up
    return parameters


def merge_lora(model: nn.Module) -> None:
    """Fold all changes into their layers."""
    for path, module in list(model.named_modules()):
        if isinstance(module, LoraLinear):
            model.set_submodule(path, module.merged())

"""ONE-PEACE (arXiv 2305.11172) in plain PyTorch; importing this package does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from searchkit.errors import DependencyMissing

if TYPE_CHECKING:
    from searchkit.one_peace.adapter import Adapter, AdapterContext, register_modality
    from searchkit.one_peace.answers import Box, SoundClass, classify_sound, draw_box, ground
    from searchkit.one_peace.convert import convert_checkpoint
    from searchkit.one_peace.hub import OnePeaceHubInterface, from_pretrained
    from searchkit.one_peace.pull import pull_model

__all__ = [
    "Adapter",
    "AdapterContext",
    "Box",
    "OnePeaceHubInterface",
    "SoundClass",
    "classify_sound",
    "convert_checkpoint",
    "draw_box",
    "from_pretrained",
    "ground",
    "pull_model",
    "register_modality",
]

_HOMES = {
    "Adapter": "adapter",
    "AdapterContext": "adapter",
    "Box": "answers",
    "OnePeaceHubInterface": "hub",
    "SoundClass": "answers",
    "classify_sound": "answers",
    "convert_checkpoint": "convert",
    "draw_box": "answers",
    "from_pretrained": "hub",
    "ground": "answers",
    "pull_model": "pull",
    "register_modality": "wrapper",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_part(home), name)


def import_part(name: str) -> Any:
    """Import a module of this package that may need torch.

    Raises:
        DependencyMissing: torch or safetensors is not installed.
    """
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name in ("torch", "safetensors"):
            raise DependencyMissing(error.name, "one-peace") from error
        raise

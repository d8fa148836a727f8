"""ONE-PEACE (arXiv 2305.11172) in plain PyTorch; importing this package does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from searchkit.errors import DependencyMissing

if TYPE_CHECKING:
    from searchkit.one_peace.adapter import Adapter, AdapterContext, register_modality
    from searchkit.one_peace.convert import convert_checkpoint
    from searchkit.one_peace.hub import OnePeaceHubInterface, from_pretrained

__all__ = [
    "Adapter",
    "AdapterContext",
    "OnePeaceHubInterface",
    "convert_checkpoint",
    "from_pretrained",
    "register_modality",
]

_HOMES = {
    "Adapter": "adapter",
    "AdapterContext": "adapter",
    "OnePeaceHubInterface": "hub",
    "convert_checkpoint": "convert",
    "from_pretrained": "hub",
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

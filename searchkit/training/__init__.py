"""Training: pretraining, fine-tuning and what both share; importing this package loads no torch."""

from __future__ import annotations

import importlib
from typing import Any

from searchkit.errors import DependencyMissing

__all__ = ["open_training"]

EXTRA = "train"


def open_training(module: str) -> Any:
    """Import one of this package's modules by name, such as "pretrain".

    Raises:
        DependencyMissing: a package of the `train` extra is not installed.
    """
    try:
        return importlib.import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as error:
        if error.name and not error.name.startswith("searchkit"):
            raise DependencyMissing(error.name, EXTRA) from error
        raise

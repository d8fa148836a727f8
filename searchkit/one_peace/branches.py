"""Which part of a model a parameter belongs to, and the files of a converted model; no tensors here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.errors import ModelCorrupt, ModelNotFound
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.published import PUBLISHED

__all__ = ["HEADS", "SHARED", "ModelFolder", "branch_of", "is_derived", "open_model_folder"]

SHARED, HEADS = "shared", "heads"
FORMAT = 1
CONFIG_NAME, TOKENIZER_NAME, LABELS_NAME = "config.json", "tokenizer.json", "labels.json"
_DERIVED = (".rp_bucket", ".position_idx", ".version")


def is_derived(key: str) -> bool:
    """Whether a checkpoint's tensor follows from the configuration, and so is neither kept nor loaded."""
    return key.endswith(_DERIVED)


def branch_of(key: str, modalities: Iterable[str]) -> str:
    """A modality's name for what only that modality uses, else "shared" or "heads"."""
    for name in modalities:
        if key.startswith(f"{name}_proj."):
            return name
        if key.startswith("encoder_wrapper."):
            own = (f".{name}_adapter.", f".{name}_ffn.", f".{name}_layer_norm.")
            if any(part in key for part in own):
                return name
    return SHARED if key.startswith("encoder_wrapper.") else HEADS


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A converted model on disk.

    Attributes:
        path: the folder.
        config: what the model is.
        raw: the content of its config.json.
        branches: the branches that have a file.
        revision: 16 hexadecimal digits that change when any weight does.
    """

    path: Path
    config: ModelConfig
    raw: Mapping[str, Any]
    branches: tuple[str, ...]
    revision: str

    def weights_path(self, branch: str) -> Path:
        """Where a branch's weights lie."""
        return self.path / f"{branch}.safetensors"

    @property
    def tokenizer_path(self) -> Path:
        """Where the tokenizer lies."""
        return self.path / TOKENIZER_NAME

    def labels(self) -> tuple[str, ...]:
        """Names of the classes, from an optional labels.json: a list, or numbers to names; () without one.

        Raises:
            ModelCorrupt: the file is there but is neither.
        """
        path = self.path / LABELS_NAME
        return read_labels(path) if path.is_file() else ()


def read_labels(path: Path) -> tuple[str, ...]:
    """Names of classes from a JSON file: a list, or an object of numbers to names.

    Raises:
        ModelCorrupt: it is neither.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            found = [found[str(i)] for i in range(len(found))]
        return tuple(str(name) for name in found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(f"{path}: the labels cannot be read: {error}") from error


def open_model_folder(path: Path, *, kind: str | None = None) -> ModelFolder:
    """Read a converted model's configuration and check that its files are there.

    Args:
        path: what `models convert` wrote.
        kind: build this kind of model in place of the checkpoint's own.

    Raises:
        ModelNotFound: there is no converted model.
        ModelCorrupt: a file is missing, or has another size than when it was written.
        CheckpointError: the configuration does not make sense.
    """
    config_path = path / CONFIG_NAME
    name = path.name if path.name in {known.name for known in PUBLISHED} else "one-peace"
    hint = f"`searchkit models pull {name}` downloads one, `searchkit models convert FILE.pt DIR` makes one"
    if not config_path.is_file():
        raise ModelNotFound(f"{path}: there is no converted ONE-PEACE model", hint=hint)
    try:
        raw = json.loads(config_path.read_text(encoding="utf-8"))
        version, files = raw["format"], dict(raw["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(f"{config_path}: damaged: {error}", hint="convert the checkpoint again") from error
    if version != FORMAT:
        raise ModelCorrupt(
            f"{config_path}: format {version} is not {FORMAT}", hint="convert the checkpoint again"
        )
    for name, facts in files.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != facts["bytes"]:
            raise ModelCorrupt(f"{file}: missing or of the wrong size", hint="convert the checkpoint again")
    digest = hashlib.sha256(json.dumps([raw["model"], raw["task"], files], sort_keys=True).encode())
    branches = tuple(name.removesuffix(".safetensors") for name in files if name.endswith(".safetensors"))
    return ModelFolder(path, ModelConfig.from_config(raw, kind=kind), raw, branches, digest.hexdigest()[:16])

"""Writes a model in memory as a folder of the converted format, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from searchkit.durable import disk_full_guard, fsync_folder, write_bytes
from searchkit.one_peace.branches import CONFIG_NAME, FORMAT, TOKENIZER_NAME, branch_of, is_derived
from searchkit.one_peace.config import ModelConfig

__all__ = ["write_model_folder"]


def write_model_folder(
    folder: Path,
    sections: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    tokenizer: str,
    *,
    source: str,
) -> Path:
    """Write a folder that `--model-dir` takes, in the place of one that is there.

    Args:
        folder: what to write.
        sections: `task`, `model` and `dictionary_size`; `model._name` decides the kind.
        weights: by parameter name; those of modalities that the sections do not name are left out.
        tokenizer: the content of its tokenizer.json.
        source: what the weights come from, for people.

    Returns:
        The folder.

    Raises:
        CheckpointError: the sections do not make sense.
        DiskFull: there is no space; what was there stays.
    """
    names = ModelConfig.from_config(sections).modalities
    branches: dict[str, dict[str, Tensor]] = {}
    for key, value in weights.items():
        if not is_derived(key):
            kept = value.detach().cpu().contiguous()
            branches.setdefault(branch_of(key, names), {})[key] = kept
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".partial"))
    try:
        with disk_full_guard(folder):
            contents = {f"{branch}.safetensors": save(tensors) for branch, tensors in branches.items()}
            contents[TOKENIZER_NAME] = tokenizer.encode()
            files = {
                name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in sorted(contents.items())
            }
            for name, content in contents.items():
                write_bytes(partial / name, content)
            config = {"format": FORMAT, "source": source, **sections, "files": files}
            write_bytes(partial / CONFIG_NAME, json.dumps(config, indent=1).encode())
            partial.chmod(0o755)
            if folder.exists():
                retired = partial.with_suffix(".old")
                folder.replace(retired)
                partial.replace(folder)
                shutil.rmtree(retired)
            else:
                partial.replace(folder)
            fsync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder

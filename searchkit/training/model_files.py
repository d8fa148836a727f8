"""Folders of trained ONE-PEACE models: changed branches are written, the others are the base's files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from searchkit.durable import whole_folder, write_text
from searchkit.one_peace.branches import CONFIG_NAME, FORMAT, TOKENIZER_NAME, ModelFolder
from searchkit.one_peace.tokenizer import tokenizer_json

__all__ = ["write_changed", "write_new"]


def write_changed(
    base: ModelFolder,
    out: Path,
    branches: Mapping[str, Mapping[str, Tensor]],
    *,
    config: Mapping[str, Any] | None = None,
    report: Mapping[str, Any] | None = None,
) -> None:
    """Write a model that differs from another in some branches; the others are shared on disk where possible.

    Args:
        base: the other model.
        out: the folder to make.
        branches: all tensors of each branch that changed.
        config: the configuration, when it changed as well.
        report: what was measured, kept beside the configuration.

    Raises:
        UsageError: there is something at the folder already.
        DiskFull: the device is full.
    """
    with whole_folder(out) as partial:
        files: dict[str, Any] = {}
        for name, facts in base.raw["files"].items():
            if name.removesuffix(".safetensors") not in branches:
                _share(base.path / name, partial / name)
                files[name] = facts
        _finish(partial, files, branches, {**base.raw, **(config or {})}, report)


def write_new(out: Path, config: Mapping[str, Any], branches: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a model that comes from no other, with the published tokenizer.

    Raises:
        UsageError: there is something at the folder already.
        DiskFull: the device is full.
    """
    with whole_folder(out) as partial:
        content = tokenizer_json()[0]
        write_text(partial / TOKENIZER_NAME, content)
        facts = {"bytes": len(content.encode()), "sha256": hashlib.sha256(content.encode()).hexdigest()}
        _finish(partial, {TOKENIZER_NAME: facts}, branches, config, None)


def _finish(
    partial: Path,
    files: dict[str, Any],
    branches: Mapping[str, Mapping[str, Tensor]],
    config: Mapping[str, Any],
    report: Mapping[str, Any] | None,
) -> None:
    for branch, tensors in branches.items():
        path = partial / f"{branch}.safetensors"
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, str(path))
        with path.open("rb+") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    whole = {**config, "format": FORMAT, "files": dict(sorted(files.items()))}
    if report is not None:
        whole["report"] = dict(report)
    write_text(partial / CONFIG_NAME, json.dumps(whole, indent=1))


def _share(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)

"""Turns a checkpoint into a folder of safetensors files, one a branch, by streaming; whole or not at all.

It never holds more than one block of a tensor. It does not need torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from searchkit.durable import whole_folder, write_text
from searchkit.errors import CheckpointError, DiskFull, UsageError
from searchkit.one_peace.branches import CONFIG_NAME, FORMAT, TOKENIZER_NAME, branch_of, is_derived
from searchkit.one_peace.checkpoint import Checkpoint, StoredTensor, read_checkpoint
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.tokenizer import tokenizer_json

__all__ = ["convert_checkpoint", "read_config_file", "write_branch"]

_BLOCK_BYTES = 8 * 2**20
_NUMPY_FLOATS = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
_TARGETS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
Progress = Callable[[int, int], None]


def convert_checkpoint(
    source: Path,
    folder: Path,
    *,
    dtype: str | None = None,
    bpe_dir: Path | None = None,
    config: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Convert a ONE-PEACE checkpoint.

    Args:
        source: the .pt file, as published or as written by the original's trainer.
        folder: what to create; it must not exist, or be empty.
        dtype: "float32", "bfloat16" or "float16" for the weights; None keeps the checkpoint's.
        bpe_dir: a folder with other `vocab.bpe` and `dict.txt` than the published ones.
        config: `task` and `model` sections, for a checkpoint that was saved without.
        progress: called with bytes done and bytes in all.

    Returns:
        The folder.

    Raises:
        UsageError: the folder has content, or the dtype is unknown.
        CheckpointError: the checkpoint is damaged, refused, or lacks its settings.
        DiskFull: there is no space; nothing is left behind.
    """
    if dtype is not None and dtype not in _TARGETS:
        raise UsageError(f"dtype {dtype!r} is none of {', '.join(_TARGETS)}")
    checkpoint = read_checkpoint(source)
    settings = _settings(checkpoint, config)
    with whole_folder(folder) as partial:
        _check_space(folder.parent, checkpoint, dtype)
        _fill(partial, checkpoint, settings, dtype, bpe_dir, progress)
    return folder


def _check_space(place: Path, checkpoint: Checkpoint, dtype: str | None) -> None:
    """Refuse before the work begins where the result cannot fit."""
    width = _WIDTHS[_TARGETS[dtype]] if dtype else 0
    needed = sum(
        t.count * (width or t.item_bytes) for key, t in checkpoint.tensors.items() if not is_derived(key)
    )
    free = shutil.disk_usage(place).free
    if needed > free:
        raise DiskFull(
            f"the converted model takes {needed} bytes, {place} has room for {free}",
            hint="free some space or name another folder, then run the same command again",
        )


def read_config_file(path: Path) -> dict[str, Any]:
    """Settings from a JSON file, for a checkpoint that was saved without.

    Raises:
        CheckpointError: it cannot be read or is no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: it needs a `task` and a `model` section")
    return found


def _settings(checkpoint: Checkpoint, config: Mapping[str, Any] | None) -> dict[str, Any]:
    found = config or checkpoint.cfg
    if not found or not isinstance(found.get("model"), dict) or not isinstance(found.get("task"), dict):
        raise CheckpointError(
            f"{checkpoint.path}: it was saved without a model configuration",
            hint="give one with --config FILE.json (sections `task` and `model`)",
        )
    embedding = checkpoint.tensors.get("encoder_wrapper.text_adapter.embed_tokens.weight")
    task = {k: v for k, v in found["task"].items() if k in _TASK_OPTIONS}
    settings: dict[str, Any] = {"task": task, "model": found["model"]}
    for name in ("head_type", "num_classes", "use_two_images"):
        if name in found:
            settings[name] = found[name]
    if embedding is not None:
        settings["dictionary_size"] = embedding.shape[0]
    elif "dictionary_size" in found:
        settings["dictionary_size"] = found["dictionary_size"]
    ModelConfig.from_config(settings)
    return settings


# Paths of the machine that trained the model stay behind.
_TASK_OPTIONS = frozenset(
    {
        "_name",
        "patch_image_size",
        "max_src_length",
        "max_duration",
        "head_type",
        "num_classes",
        "use_two_images",
    }
)


def _fill(
    partial: Path,
    checkpoint: Checkpoint,
    settings: dict[str, Any],
    dtype: str | None,
    bpe_dir: Path | None,
    progress: Progress | None,
) -> None:
    modalities = ModelConfig.from_config(settings).modalities
    branches: dict[str, dict[str, StoredTensor]] = {}
    for key, tensor in checkpoint.tensors.items():
        renamed = key.replace(".rel_pos_table.weight", ".rel_pos_table_list.0.weight")
        if not is_derived(key):
            branches.setdefault(branch_of(renamed, modalities), {})[renamed] = tensor
    total = sum(tensor.size_bytes for tensors in branches.values() for tensor in tensors.values())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    files: dict[str, Any] = {}
    target = _TARGETS[dtype] if dtype else None
    with checkpoint.path.open("rb") as source:
        for branch, tensors in sorted(branches.items()):
            name = f"{branch}.safetensors"
            files[name] = write_branch(partial / name, source, tensors, target, advance)
    serialised, _ = tokenizer_json(bpe_dir)
    write_text(partial / TOKENIZER_NAME, serialised)
    content = serialised.encode()
    files[TOKENIZER_NAME] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    config = {"format": FORMAT, "source": checkpoint.path.name, **settings, "files": files}
    write_text(partial / CONFIG_NAME, json.dumps(config, indent=1))


def write_branch(
    path: Path,
    source: IO[bytes],
    tensors: Mapping[str, StoredTensor],
    target: str | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Stream tensors from a checkpoint into one safetensors file.

    Args:
        path: the file to write.
        source: the open checkpoint.
        tensors: what to write, by name.
        target: "F32", "BF16" or "F16" for floating-point tensors; None keeps each one's type.
        advance: called with the number of source bytes of each block done.

    Returns:
        The file's size in `bytes` and its `sha256`.
    """
    header: dict[str, Any] = {}
    position = 0
    for key, tensor in sorted(tensors.items()):
        kind = target if target and tensor.item_type in ("F32", "F16", "BF16", "F64") else tensor.item_type
        size = tensor.count * _WIDTHS.get(kind, tensor.item_bytes)
        header[key] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in (len(text).to_bytes(8, "little"), text):
            file.write(block)
            digest.update(block)
        for key, tensor in sorted(tensors.items()):
            for block in tensor.blocks(source, _BLOCK_BYTES):
                converted = _cast(block, tensor.item_type, header[key]["dtype"])
                file.write(converted)
                digest.update(converted)
                advance(len(block))
        file.flush()
        os.fsync(file.fileno())
        size_bytes = file.tell()
    return {"bytes": size_bytes, "sha256": digest.hexdigest()}


def _cast(block: bytes, from_type: str, to_type: str) -> bytes:
    if from_type == to_type:
        return block
    if from_type == "BF16":
        values = (np.frombuffer(block, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(block, dtype=_NUMPY_FLOATS[from_type]).astype(np.float32)
    if to_type != "BF16":
        # Values beyond float16's range become infinite, as they would in a half-precision model.
        with np.errstate(over="ignore"):
            return values.astype(_NUMPY_FLOATS[to_type]).tobytes()
    bits = values.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16).tobytes()

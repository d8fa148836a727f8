"""Where a model's weights come from: a converted folder or a checkpoint, memory-mapped branch by branch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from searchkit.errors import CheckpointError, ModelCorrupt
from searchkit.one_peace.branches import ModelFolder, branch_of, is_derived
from searchkit.one_peace.checkpoint import Checkpoint, StoredTensor, read_checkpoint
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.few_bits import FewBitWeight, restore_all, rounded_parts
from searchkit.one_peace.tokenizer import TextTokenizer, tokenizer_json

__all__ = ["CheckpointWeights", "FolderWeights", "WeightSource", "read_tensor"]

_TORCH_TYPES: Mapping[str, torch.dtype] = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class WeightSource(Protocol):
    """A model on disk."""

    @property
    def config(self) -> ModelConfig:
        """What the model is."""
        ...

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def tokenizer(self) -> TextTokenizer:
        """The tokenizer that belongs to the model."""
        ...

    def branch(self, name: str) -> dict[str, Tensor]:
        """A branch's tensors by parameter name, memory-mapped where possible; {} where there are none."""
        ...


class FolderWeights:
    """A folder that `models convert` wrote."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.config = folder.config
        self.name = str(folder.path)
        quantised = folder.raw.get("quantised", {})
        self._rounded_shapes = {key: tuple(shape) for key, shape in quantised.get("shapes", {}).items()}

    def tokenizer(self) -> TextTokenizer:
        """The folder's tokenizer.

        Raises:
            CheckpointError: the file is damaged.
        """
        return TextTokenizer.from_file(
            self.folder.tokenizer_path,
            dictionary_size=self.config.dictionary_size,
            max_tokens=self.config.task.max_src_length,
        )

    def branch(self, name: str, *, but: Collection[str] = ()) -> dict[str, Tensor]:
        """A branch's tensors, memory-mapped; those in few bits as numbers, but for some.

        Raises:
            ModelCorrupt: the file is damaged.
        """
        stored = self._stored(name)
        return restore_all(stored, self._rounded_shapes, but) if self._rounded_shapes else stored

    def few_bits(self, name: str) -> dict[str, FewBitWeight]:
        """A branch's weights that are stored in few bits, by parameter name; {} in most models.

        Raises:
            ModelCorrupt: the file is damaged.
        """
        return rounded_parts(self._stored(name), self._rounded_shapes) if self._rounded_shapes else {}

    def _stored(self, name: str) -> dict[str, Tensor]:
        if name not in self.folder.branches:
            return {}
        path = self.folder.weights_path(name)
        try:
            with safe_open(str(path), framework="pt", device="cpu") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        except (SafetensorError, OSError, RuntimeError) as error:
            raise ModelCorrupt(f"{path}: damaged: {error}", hint="convert the checkpoint again") from error


class CheckpointWeights:
    """A checkpoint file as published, read in place."""

    def __init__(self, path: Path, *, kind: str | None = None) -> None:
        self._checkpoint: Checkpoint = read_checkpoint(path)
        self.name = str(path)
        cfg = self._checkpoint.cfg
        if not cfg:
            raise CheckpointError(
                f"{path}: it was saved without a model configuration",
                hint="convert it: `searchkit models convert FILE.pt DIR --config FILE.json`",
            )
        tensors = self._checkpoint.tensors
        embedding = tensors.get("encoder_wrapper.text_adapter.embed_tokens.weight")
        rows = {"dictionary_size": embedding.shape[0]} if embedding else {}
        self.config = ModelConfig.from_config({**cfg, **rows}, kind=kind)
        self._file: torch.UntypedStorage | None = None

    def tokenizer(self) -> TextTokenizer:
        """The published tokenizer, cut to the checkpoint's dictionary."""
        return TextTokenizer(
            tokenizer_json()[0],
            dictionary_size=self.config.dictionary_size,
            max_tokens=self.config.task.max_src_length,
        )

    def branch(self, name: str) -> dict[str, Tensor]:
        """A branch's tensors; memory-mapped where the file's alignment allows it."""
        chosen = {
            key: tensor
            for key, tensor in self._checkpoint.tensors.items()
            if not is_derived(key) and branch_of(key, self.config.modalities) == name
        }
        return {key: self._tensor(tensor) for key, tensor in chosen.items()}

    def _tensor(self, stored: StoredTensor) -> Tensor:
        kind = _TORCH_TYPES[stored.item_type]
        path = self._checkpoint.path
        if stored.start % stored.item_bytes or stored.count == 0:
            return _read(path, stored)
        if self._file is None:
            size_bytes = path.stat().st_size
            self._file = torch.from_file(str(path), False, size_bytes, dtype=torch.uint8).untyped_storage()
        return torch.empty(0, dtype=kind).set_(
            self._file, stored.start // stored.item_bytes, stored.shape, stored.stride
        )


def read_tensor(checkpoint: Checkpoint, key: str) -> Tensor:
    """One tensor of a checkpoint, read into memory.

    Raises:
        CheckpointError: the file ends too early.
        KeyError: there is no such tensor.
    """
    return _read(checkpoint.path, checkpoint.tensors[key])


def _read(path: Path, stored: StoredTensor) -> Tensor:
    kind = _TORCH_TYPES[stored.item_type]
    with path.open("rb") as file:
        block = bytearray(b"".join(stored.blocks(file, 2**24)))
    flat = torch.frombuffer(block, dtype=kind) if block else torch.empty(0, dtype=kind)
    return flat.view(stored.shape)

"""Opens a ONE-PEACE checkpoint (.pt): its settings, and where each tensor's bytes lie in the file.

No tensor is read when a checkpoint is opened, and nothing in the file is ever executed; no torch is needed.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from searchkit.errors import CheckpointError
from searchkit.one_peace.inert_pickle import InertReader, TensorRef, to_plain

__all__ = ["Checkpoint", "StoredTensor", "read_checkpoint"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LARGEST_PICKLE_BYTES = 64 * 2**20
_OTHER_FILE = "give the .pt file itself, as it was downloaded"
_WIDTHS: Mapping[int, type[np.unsignedinteger[Any]]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor's place in a file.

    Attributes:
        item_type: element type in safetensors' spelling, such as "F32" or "BF16".
        item_bytes: width of an element.
        shape: its shape.
        stride: in elements.
        start: position of its first element in the file, in bytes.
    """

    item_type: str
    item_bytes: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    start: int

    @property
    def count(self) -> int:
        """How many elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size_bytes(self) -> int:
        """How many bytes, as one contiguous block."""
        return self.count * self.item_bytes

    def is_contiguous(self) -> bool:
        """Whether the elements lie in the file as they are to be written, row by row."""
        expected = 1
        for size, step in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and step != expected:
                return False
            expected *= size
        return True

    def blocks(self, file: IO[bytes], block_bytes: int) -> Iterator[bytes]:
        """Its bytes in row-major order, in blocks of about `block_bytes`.

        Raises:
            CheckpointError: the file ends too early.
        """
        if self.count == 0:
            return
        if not self.is_contiguous():
            yield self._gathered(file).tobytes()
            return
        file.seek(self.start)
        left = self.size_bytes
        while left:
            block = file.read(min(left, block_bytes))
            if not block:
                raise CheckpointError(
                    "the checkpoint ends in the middle of a tensor", hint="download it again"
                )
            left -= len(block)
            yield block

    def _gathered(self, file: IO[bytes]) -> npt.NDArray[Any]:
        last = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        file.seek(self.start)
        flat = np.frombuffer(file.read((last + 1) * self.item_bytes), dtype=_WIDTHS[self.item_bytes])
        if len(flat) <= last:
            raise CheckpointError("the checkpoint ends in the middle of a tensor", hint="download it again")
        strides = [step * self.item_bytes for step in self.stride]
        return np.ascontiguousarray(
            np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        path: the file.
        tensors: the model's tensors by parameter name.
        cfg: its settings as plain values; None where it was saved without.
        args: the older form of the settings; None where it was saved without.
    """

    path: Path
    tensors: Mapping[str, StoredTensor]
    cfg: dict[str, Any] | None
    args: dict[str, Any] | None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's structure.

    Raises:
        CheckpointError: the file is no checkpoint, is cut off, or names something that is refused.
    """
    try:
        with path.open("rb") as file:
            root, starts = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
        return _understood(path, root, starts)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from error
    except Exception as error:  # a damaged file can fail in any way
        raise CheckpointError(
            f"{path}: not a readable checkpoint: {error}", hint="download it again"
        ) from error


def _understood(path: Path, root: Any, starts: Mapping[str, tuple[int, int]]) -> Checkpoint:
    if not isinstance(root, dict):
        raise CheckpointError("not a model checkpoint: its root is no mapping")
    model = root["model"] if isinstance(root.get("model"), dict) else root
    tensors = {}
    for key, value in model.items():
        if isinstance(key, str) and isinstance(value, TensorRef):
            tensors[key] = _placed(value, starts)
    if not tensors:
        raise CheckpointError("it holds no model weights")
    cfg, args = to_plain(root.get("cfg")), to_plain(root.get("args"))
    return Checkpoint(
        path, tensors, cfg if isinstance(cfg, dict) else None, args if isinstance(args, dict) else None
    )


def _placed(tensor: TensorRef, starts: Mapping[str, tuple[int, int]]) -> StoredTensor:
    storage = tensor.storage
    start, size_bytes = starts.get(storage.key, (0, -1))
    if storage.count * storage.item_bytes > size_bytes:
        raise CheckpointError(
            f"the checkpoint lacks the data of storage {storage.key!r}: it was cut off",
            hint="download it again",
        )
    first = start + tensor.offset * storage.item_bytes
    return StoredTensor(storage.item_type, storage.item_bytes, tensor.shape, tensor.stride, first)


def _read_zip(file: IO[bytes]) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The root object, and by storage key its position and size in the file."""
    file.seek(0, io.SEEK_END)
    total = file.tell()
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.count("/") <= 1 and name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError("it is a zip file, but no checkpoint: there is no data.pkl")
        prefix = pickles[0].removesuffix("data.pkl")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise CheckpointError("its parts are compressed, which checkpoints never are")
        if entries[pickles[0]].file_size > _LARGEST_PICKLE_BYTES:
            raise CheckpointError("its description is too large to be that of a model")
        if f"{prefix}byteorder" in entries and archive.read(f"{prefix}byteorder") != b"little":
            raise CheckpointError("it was saved on a big-endian machine, which is not supported")
        root = InertReader(io.BytesIO(archive.read(pickles[0]))).load()
        starts = {}
        for name, entry in entries.items():
            if name.startswith(f"{prefix}data/"):
                file.seek(entry.header_offset + 26)
                name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
                start = entry.header_offset + 30 + name_bytes + extra_bytes
                if start + entry.file_size <= total:
                    starts[name.removeprefix(f"{prefix}data/")] = (start, entry.file_size)
    return root, starts


def _read_legacy(file: IO[bytes]) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The format from before zip files: five pickles, then every storage with its length in front."""
    file.seek(0, io.SEEK_END)
    total = file.tell()
    file.seek(0)
    reader = InertReader(file)
    try:
        magic = reader.load()
    except CheckpointError as error:
        raise CheckpointError("it is not a checkpoint, or it was cut off", hint=_OTHER_FILE) from error
    if magic != _LEGACY_MAGIC:
        raise CheckpointError("it is not a checkpoint, or it was cut off", hint=_OTHER_FILE)
    reader.load()
    system = reader.load()
    if not (isinstance(system, dict) and system.get("little_endian") is True):
        raise CheckpointError("it was saved on a big-endian machine, which is not supported")
    root, keys = reader.load(), reader.load()
    starts = {}
    for key in keys if isinstance(keys, list) else []:
        header = file.read(8)
        if len(header) < 8 or key not in reader.storages:
            break
        size_bytes = struct.unpack("<q", header)[0] * reader.storages[key].item_bytes
        start = file.tell()
        if size_bytes < 0 or start + size_bytes > total:
            break
        starts[str(key)] = (start, size_bytes)
        file.seek(start + size_bytes)
    return root, starts

"""Reads pickles without running anything: names in them become inert stand-ins, or the file is refused.

It knows the pickle format's names, not what a checkpoint means. No torch, no imports of what a pickle names.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import numpy as np

from searchkit.errors import CheckpointError

__all__ = ["ITEM_TYPES", "InertReader", "StorageRef", "TensorRef", "to_plain"]

_MOST_INSTRUCTIONS = 5_000_000
_MOST_SETTINGS = 100_000
# Storage classes by name: the element type in safetensors' spelling, and its width in bytes.
ITEM_TYPES: Mapping[str, tuple[str, int]] = {
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "DoubleStorage": ("F64", 8),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}


@dataclass(frozen=True, slots=True)
class StorageRef:
    """A block of numbers that lies elsewhere in the file: its name, element type and count."""

    key: str
    item_type: str
    item_bytes: int
    count: int

    def __setstate__(self, state: object) -> None:
        _refuse_state()


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor that was not read: where it lies in its storage, in elements."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        _refuse_state()


def _refuse_state() -> NoReturn:
    """A pickle may not change a description after it was checked."""
    raise CheckpointError("refused: the checkpoint changes a tensor's description")


class _Inert:
    """A stand-in for an instance: keeps what the pickle says about it and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        instance = super().__new__(cls)
        object.__setattr__(instance, "state", None)
        return instance

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        object.__setattr__(self, "state", state)

    state: Any


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> TensorRef:
    whole = (storage, StorageRef), (offset, int), (shape, tuple), (stride, tuple)
    if not all(isinstance(value, kind) for value, kind in whole):
        raise CheckpointError("a tensor in the checkpoint is described wrongly")
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or not all(isinstance(n, int) and 0 <= n < 2**48 for n in numbers):
        raise CheckpointError("a tensor in the checkpoint has an impossible shape")
    if 0 not in shape:
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if last >= storage.count:
            raise CheckpointError("a tensor in the checkpoint reaches beyond its storage")
    if math.prod(shape) > storage.count:
        raise CheckpointError("a tensor in the checkpoint has more elements than its storage")
    return TensorRef(storage, offset, tuple(shape), tuple(stride))


def _rebuild_parameter(data: Any, *rest: Any) -> Any:
    return data


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError("the checkpoint holds text in an unexpected encoding")
    return text.encode("latin1")


def _stand_ins() -> dict[tuple[str, str], Any]:
    """Fresh stand-ins for one file, so that no file can change what another one gets."""

    class OrderedMapping(dict[Any, Any]):
        def __setstate__(self, state: Any) -> None:
            pass

    class DefaultMapping(OrderedMapping):
        def __init__(self, *factory: Any) -> None:
            super().__init__()

    class NumpyType(_Inert):
        def __init__(self, code: Any = "", *rest: Any) -> None:
            object.__setattr__(self, "code", code)

        code: Any

    def numpy_scalar(kind: Any, data: Any = b"") -> Any:
        code = kind.code if isinstance(kind, NumpyType) else None
        if code not in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"):
            raise CheckpointError("the checkpoint holds a numpy scalar of an unexpected type")
        values = np.frombuffer(data, dtype=np.dtype(code).newbyteorder("<"))
        if values.size != 1:
            raise CheckpointError("the checkpoint holds a damaged numpy scalar")
        return values[0].item()

    def inert(name: str) -> type:
        return type(name, (_Inert,), {})

    table: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedMapping,
        ("collections", "defaultdict"): DefaultMapping,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch", "Size"): tuple,
        ("argparse", "Namespace"): inert("Namespace"),
        ("typing", "Any"): inert("Any"),
        ("numpy", "dtype"): NumpyType,
        ("numpy.core.multiarray", "scalar"): numpy_scalar,
        ("numpy._core.multiarray", "scalar"): numpy_scalar,
        ("_codecs", "encode"): _latin1,
        ("omegaconf.dictconfig", "DictConfig"): inert("DictConfig"),
        ("omegaconf.listconfig", "ListConfig"): inert("ListConfig"),
        ("omegaconf.base", "ContainerMetadata"): inert("ContainerMetadata"),
        ("omegaconf.base", "Metadata"): inert("Metadata"),
    }
    for node in ("AnyNode", "BooleanNode", "EnumNode", "FloatNode", "IntegerNode", "StringNode"):
        table["omegaconf.nodes", node] = inert(node)
    for module in ("builtins", "__builtin__"):
        for kind in (dict, list, tuple, set, str, int, float, bool):
            table[module, kind.__name__] = kind
        table[module, "long"] = int
    for storage in ITEM_TYPES:
        table["torch", storage] = inert(storage)
    return table


class _InertUnpickler(pickle.Unpickler):
    def __init__(
        self, file: IO[bytes], stand_ins: Mapping[tuple[str, str], Any], storages: dict[str, StorageRef]
    ) -> None:
        super().__init__(file, encoding="utf-8")
        self._stand_ins = stand_ins
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._stand_ins[module, name]
        except KeyError:
            raise CheckpointError(
                f"refused: the checkpoint names {module}.{name}, which a model file has no need for",
                hint="do not open this file with other tools; get the checkpoint from its publisher",
            ) from None

    def persistent_load(self, pid: Any) -> StorageRef:
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            kind, key, count = pid[1], pid[2], pid[4]
            item = ITEM_TYPES.get(getattr(kind, "__name__", ""))
            whole_view = len(pid) == 5 or pid[5] is None
            if item and whole_view and isinstance(key, str) and isinstance(count, int) and 0 <= count < 2**48:
                return self._storages.setdefault(key, StorageRef(key, item[0], item[1], count))
        raise CheckpointError("the checkpoint refers to a storage in an unexpected way")


class InertReader:
    """Reads the pickles of a file one after another.

    Attributes:
        storages: every block of numbers that was referred to, by key.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stand_ins = _stand_ins()
        self.storages: dict[str, StorageRef] = {}

    def load(self) -> Any:
        """The next pickle's object.

        Raises:
            CheckpointError: it names anything that is not known to be harmless, or is damaged.
        """
        try:
            content = _checked(self._file)
            return _InertUnpickler(io.BytesIO(content), self._stand_ins, self.storages).load()
        except CheckpointError:
            raise
        except Exception as error:  # a damaged pickle can fail in any way
            raise CheckpointError(
                f"the checkpoint is damaged: {type(error).__name__}: {error}", hint="download it again"
            ) from error


def _checked(file: IO[bytes]) -> bytes:
    """The next pickle's bytes, none of whose instructions makes the reader set aside memory beyond reason."""
    start = file.tell()
    for number, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        if number > _MOST_INSTRUCTIONS:
            raise CheckpointError("its description is too long to be that of a model")
        if instruction.name in ("PUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= _MOST_INSTRUCTIONS:
            raise CheckpointError("refused: the checkpoint asks for memory beyond reason")
    end = file.tell()
    file.seek(start)
    return file.read(end - start)


def to_plain(value: Any) -> Any:
    """Settings as plain dicts, lists and scalars; omegaconf nodes and namespaces are unwrapped.

    Raises:
        CheckpointError: the settings are nested or repeated beyond reason.
    """
    return _plain(value, 0, iter(range(_MOST_SETTINGS)))


def _plain(value: Any, depth: int, budget: Iterator[int]) -> Any:
    if depth > 50:
        raise CheckpointError("the checkpoint's settings are nested too deep")
    if next(budget, None) is None:
        raise CheckpointError("the checkpoint has too many settings")
    if isinstance(value, _Inert):
        state = value.state
        if not isinstance(state, dict):
            return None
        return _plain(state.get("_content", state.get("_val", state)), depth + 1, budget)
    if isinstance(value, dict):
        return {str(k): _plain(v, depth + 1, budget) for k, v in value.items() if k != "_parent"}
    if isinstance(value, list | tuple | set):
        return [_plain(v, depth + 1, budget) for v in value]
    return value if isinstance(value, str | int | float | bool) else None

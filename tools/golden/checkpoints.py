"""Fixtures of checkpoint files: each is opened in place and converted, or must be refused."""

from __future__ import annotations

import _codecs
import argparse
import contextlib
import json
import lzma
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.compare import EMBEDDING, Check, compare, failed, load_npz
from golden.models import by_case, modality_of, tensors
from searchkit.errors import CheckpointError
from searchkit.one_peace.branches import branch_of, is_derived, open_model_folder
from searchkit.one_peace.checkpoint import Checkpoint, read_checkpoint
from searchkit.one_peace.convert import convert_checkpoint
from searchkit.one_peace.hub import open_source
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.weights import FolderWeights, WeightSource, read_tensor

HARMLESS_MODULES = (
    "argparse",
    "collections",
    "numpy",
    "omegaconf",
    "torch",
    "typing",
    "_codecs",
    "__builtin__",
)
MODALITIES = ("text", "image", "audio")


def check_folder(folder: Path) -> Iterator[Check]:
    described = folder / "pickled_globals.json"
    names = json.loads(described.read_text()) if described.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        paths = [_unpacked(path, Path(scratch)) for path in sorted(folder.glob("*.pt*"))]
        hostile = [path for path in paths if _is_hostile(path, names)]
        yield from (_check_refused(path) for path in hostile)
        whole = _parameters_of_the_largest([path for path in paths if path not in hostile])
        for path in paths:
            if path not in hostile:
                try:
                    yield from _check_file(folder, path, Path(scratch) / f"{path.stem}-folder", whole)
                except Exception as error:  # one file that breaks must not hide the others
                    yield from failed(path.name, error)


def _unpacked(packed: Path, scratch: Path) -> Path:
    if packed.suffix != ".xz":
        return packed
    path = scratch / packed.stem
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return path


def _is_hostile(path: Path, names: dict[str, Any]) -> bool:
    named = names.get(path.name, {}).get("globals", [])
    return "hostile" in path.name or any(name.split(".")[0] not in HARMLESS_MODULES for name in named)


def _check_refused(path: Path) -> Check:
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        return Check(f"{path.name} is refused", 0.0, 0.0, str(error).rpartition(": ")[2])
    return Check(f"{path.name} is refused", float("inf"), 0.0, "it was read")


def _parameters_of_the_largest(paths: list[Path]) -> set[str]:
    """Parameter names of the fullest file of a folder; the others are variants of it."""
    found: set[str] = set()
    for path in paths:
        with contextlib.suppress(CheckpointError):
            found |= {key for key in read_checkpoint(path).tensors if not is_derived(key)}
    return found


def _check_file(folder: Path, path: Path, converted: Path, whole: set[str]) -> Iterator[Check]:
    checkpoint = read_checkpoint(path)
    yield _check_values(path, checkpoint)
    if checkpoint.cfg is None:
        return
    present = {key for key in checkpoint.tensors if not is_derived(key)}
    complete = [
        name for name in MODALITIES if not any(_serves(name, key) for key in whole - present) and present
    ]
    if not complete:
        return
    convert_checkpoint(path, converted)
    sources: dict[str, WeightSource] = {
        "in place": open_source(path),
        "converted": FolderWeights(open_model_folder(converted)),
    }
    inputs = by_case(load_npz(folder / "inputs.npz"))
    # Weights that were rounded to half precision move the embedding.
    low = {tensor.item_type for tensor in checkpoint.tensors.values()} & {"F16", "BF16"}
    tolerance = 2e-2 if low else EMBEDDING
    for label, source in sources.items():
        model = LazyModel(source)
        for case, recorded in by_case(load_npz(folder / "expected.npz")).items():
            modality = modality_of(inputs[case])
            if modality in complete:
                with model.using(modality) as loaded, torch.inference_mode():
                    found = loaded(modality, **tensors(inputs[case]))
                name = f"{path.name} {label} {case}.embedding"
                yield compare(name, found, recorded["embedding"], tolerance)


def _serves(modality: str, key: str) -> bool:
    """Whether a modality's pass needs a parameter."""
    branch = branch_of(key, MODALITIES)
    return branch == modality or branch not in MODALITIES


def _check_values(path: Path, checkpoint: Checkpoint) -> Check:
    """Every tensor as torch's own restricted reader gives it, where that one takes the file."""
    name = f"{path.name}: {len(checkpoint.tensors)} tensors"
    try:
        with torch.serialization.safe_globals(_SAFE):
            loaded = torch.load(path, map_location="cpu", weights_only=True)["model"]
    except pickle.UnpicklingError:
        return Check(f"{name} found, which torch's own reader refuses to read", 0.0, 0.0)
    different = sorted(loaded.keys() ^ checkpoint.tensors.keys())
    for key in loaded.keys() & checkpoint.tensors.keys():
        found = read_tensor(checkpoint, key)
        same = found.dtype == loaded[key].dtype and torch.equal(found, loaded[key])
        different += [] if same else [key]
    return Check(f"{name} as torch reads them", float(len(different)), 0.0, ", ".join(different[:3]))


_SAFE: list[Any] = [
    argparse.Namespace,
    _codecs.encode,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),
]

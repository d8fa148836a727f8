"""Fixtures of checkpoint files: each is opened in place and converted, or must be refused."""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from golden.compare import EMBEDDING, Check, compare, load_npz
from golden.models import by_case, tensors
from searchkit.errors import CheckpointError
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.checkpoint import read_checkpoint
from searchkit.one_peace.convert import convert_checkpoint
from searchkit.one_peace.hub import open_source
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.weights import FolderWeights, WeightSource

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


def check_folder(folder: Path) -> Iterator[Check]:
    described = folder / "pickled_globals.json"
    names = json.loads(described.read_text()) if described.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for packed in sorted([*folder.glob("*.pt"), *folder.glob("*.pt.xz")]):
            path = packed
            if packed.suffix == ".xz":
                path = Path(scratch) / packed.stem
                path.write_bytes(lzma.decompress(packed.read_bytes()))
            named = names.get(path.name, {}).get("globals", [])
            if any(name.split(".")[0] not in HARMLESS_MODULES for name in named) or "hostile" in path.name:
                yield _check_refused(path)
            else:
                yield from _check_file(folder, path, Path(scratch) / f"{path.stem}-folder")


def _check_refused(path: Path) -> Check:
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        return Check(f"{path.name} is refused", 0.0, 0.0, str(error).rpartition(": ")[2])
    return Check(f"{path.name} is refused", float("inf"), 0.0, "it was read")


def _check_file(folder: Path, path: Path, converted: Path) -> Iterator[Check]:
    checkpoint = read_checkpoint(path)
    yield Check(f"{path.name}: {len(checkpoint.tensors)} tensors found", 0.0, 0.0)
    inputs = by_case(load_npz(folder / "inputs.npz"))
    parts = ("encoder_wrapper.text_adapter.embed_tokens.weight", "image_proj.weight", "audio_proj.weight")
    if checkpoint.cfg is None or not all(part in checkpoint.tensors for part in parts):
        return
    convert_checkpoint(path, converted)
    sources: dict[str, WeightSource] = {
        "in place": open_source(path),
        "converted": FolderWeights(open_model_folder(converted)),
    }
    low = {tensor.item_type for tensor in checkpoint.tensors.values()} & {"F16", "BF16"}
    for label, source in sources.items():
        model = LazyModel(source)
        for case, recorded in by_case(load_npz(folder / "expected.npz")).items():
            modality = case.split("_")[0]
            with model.using(modality) as loaded, torch.inference_mode():
                found = loaded(modality, **tensors(inputs[case]))
            # Weights that were rounded to half precision move the embedding.
            tolerance = 2e-2 if low else EMBEDDING
            yield compare(f"{path.name} {label} {case}.embedding", found, recorded["embedding"], tolerance)

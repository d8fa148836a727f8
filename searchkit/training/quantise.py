"""Smaller models: a ONE-PEACE folder with its matrices in 8 or 4 bits, and what that costs in recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from searchkit.config import load_settings
from searchkit.encoders.one_peace import OnePeaceEncoder, load
from searchkit.errors import UsageError
from searchkit.loading import decode_settings_for, load_samples
from searchkit.modality import Modality
from searchkit.one_peace.branches import open_model_folder
from searchkit.one_peace.few_bits import round_weight
from searchkit.one_peace.weights import FolderWeights
from searchkit.training.contrastive import Progress
from searchkit.training.heldout import Comparison, retrieval
from searchkit.training.model_files import write_changed
from searchkit.training.pairs import read_pairs
from searchkit.training.sides import embed_sides
from searchkit.types import FloatArray, ImageSample, Sample, TextSample

__all__ = ["QuantiseReport", "quantise"]

BITS = (8, 4)
_FEWEST_NUMBERS = 4096
_PROBES = (
    "a dog barks",
    "snow on a mountain",
    "an old steam train",
    "children laugh",
    "a bowl of soup",
    "rain",
)


@dataclass(frozen=True, slots=True)
class QuantiseReport:
    """What it costs.

    Attributes:
        folder: the smaller model.
        bits: of its matrices.
        bytes_before: of all files of the model.
        bytes_after: likewise.
        cosine_mean: of a thing's vectors before and after, over what was embedded to measure.
        cosine_min: the lowest of them.
        measured: how many things were embedded.
        comparison: what the pairs found before and after, None without pairs.
    """

    folder: Path
    bits: int
    bytes_before: int
    bytes_after: int
    cosine_mean: float
    cosine_min: float
    measured: int
    comparison: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "bits": self.bits,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "cosine_mean": round(self.cosine_mean, 6),
            "cosine_min": round(self.cosine_min, 6),
            "measured": self.measured,
            **(self.comparison.to_dict() if self.comparison else {}),
        }


def quantise(
    source: Path,
    out: Path,
    *,
    bits: int = 8,
    pairs_file: Path | None = None,
    progress: Progress | None = None,
) -> QuantiseReport:
    """Write a model again with its matrices in few bits, and measure both.

    The token embedding and the projections keep 8 bits, since every vector goes through them; biases, norms
    and tables of positions stay as they are.

    Args:
        source: a converted ONE-PEACE model.
        out: the folder to make.
        bits: 8 or 4.
        pairs_file: pairs to search among (``searchkit.training.pairs``); without, only vectors are compared.
        progress: told the step, how much of it is done, and how much there is.

    Raises:
        UsageError: other bits, the folder exists, or the model is quantized already.
        ModelNotFound: there is no model.
    """
    if bits not in BITS:
        raise UsageError(f"weights can have 8 or 4 bits, not {bits}")
    folder = open_model_folder(source)
    if "quantised" in folder.raw:
        raise UsageError(f"{source} is quantized already", hint="start from the model that it was made of")
    weights = FolderWeights(folder)
    branches: dict[str, dict[str, Tensor]] = {}
    shapes: dict[str, list[int]] = {}
    for done, branch in enumerate(folder.branches, start=1):
        written: dict[str, Tensor] = {}
        for key, tensor in weights.branch(branch).items():
            chosen = _bits_for(key, tensor, bits)
            if chosen:
                written |= round_weight(tensor, chosen).tensors(key)
                shapes[key] = list(tensor.shape)
            else:
                written[key] = tensor
        branches[branch] = written
        if progress is not None:
            progress("rounding", done, len(folder.branches))
    write_changed(folder, out, branches, config={"quantised": {"bits": bits, "shapes": shapes}})
    return _measured(source, out, bits, pairs_file, progress)


def _bits_for(key: str, tensor: Tensor, bits: int) -> int:
    """How many bits a parameter gets, 0 for those that stay."""
    if tensor.dim() < 2 or tensor.numel() < _FEWEST_NUMBERS or not tensor.is_floating_point():
        return 0
    if "rel_pos" in key or "pos_embed" in key or "embed_positions.weight" in key or "cls_" in key:
        return 0
    return 8 if "embed_tokens" in key or ("_proj.weight" in key and "self_attn" not in key) else bits


def _measured(
    source: Path, out: Path, bits: int, pairs_file: Path | None, progress: Progress | None
) -> QuantiseReport:
    first, second = load(source), load(out)
    comparison = None
    try:
        if pairs_file is not None:
            decoding = decode_settings_for(first, load_settings(source))

            def open_side(path: Path, modality: Modality) -> Sequence[Sample]:
                return load_samples(path, modality, decoding)

            given = read_pairs(pairs_file, plugs=decoding.plugs)
            before, failed = embed_sides(given.sides(), first, open_side, progress=progress)
            usable = given.without(failed)
            after = embed_sides(usable.sides(), second, open_side, progress=progress)[0]
            comparison = Comparison(retrieval(usable.pairs, before), retrieval(usable.pairs, after))
            cosines = np.array([before[side] @ after[side] for side in after])
        else:
            cosines = (_probe(first) * _probe(second)).sum(axis=1)
    finally:
        first.close()
        second.close()
    return QuantiseReport(
        folder=out,
        bits=bits,
        bytes_before=_size(source),
        bytes_after=_size(out),
        cosine_mean=float(cosines.mean()),
        cosine_min=float(cosines.min()),
        measured=len(cosines),
        comparison=comparison,
    )


def _probe(encoder: OnePeaceEncoder) -> FloatArray:
    random = np.random.default_rng(0)
    samples: list[Sample] = []
    if Modality.TEXT in encoder.modalities:
        samples += [TextSample(words) for words in _PROBES]
    if Modality.IMAGE in encoder.modalities:
        blocks = [
            random.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(4)
        ]
        samples += [ImageSample(block) for block in blocks]
    if not samples:
        raise UsageError("the model embeds neither words nor pictures", hint="measure it with --pairs")
    return encoder.encode(samples)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

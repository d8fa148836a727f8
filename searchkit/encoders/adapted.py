"""An encoder with a light head on top: each modality's vectors of a base model, mapped into a new space.

A head is a linear map and perhaps a hidden layer for each modality that it changes; `searchkit train
finetune` and `searchkit train distill` make them. It needs NumPy only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from searchkit.durable import replace_file, whole_folder, write_text
from searchkit.encoders.spec import open_encoder
from searchkit.errors import ModalityUnsupported, ModelCorrupt, ModelNotFound, SpaceMismatch
from searchkit.types import Encoder, FloatArray, Modality, Sample, Space

__all__ = ["AdaptedEncoder", "FeatureSource", "Head", "HeadMap", "load", "write_head"]

FORMAT = 1
CONFIG_NAME, WEIGHTS_NAME = "head.json", "head.npz"


@runtime_checkable
class FeatureSource(Protocol):
    """An encoder that also tells what lies under its vectors."""

    def features(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """One float32 array a sample, of one length a modality."""
        ...


@dataclass(frozen=True, slots=True)
class HeadMap:
    """One modality's way into the new space: ``x W + b``, plus ``max(x H + c, 0) O`` with a hidden layer.

    Attributes:
        weight: (i, dim).
        bias: (dim,).
        hidden_weight: (i, h), or None.
        hidden_bias: (h,), or None.
        output_weight: (h, dim), or None.
    """

    weight: FloatArray
    bias: FloatArray
    hidden_weight: FloatArray | None = None
    hidden_bias: FloatArray | None = None
    output_weight: FloatArray | None = None

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Map (N, i) to unit rows (N, dim)."""
        mapped = rows @ self.weight + self.bias
        if self.hidden_weight is not None and self.hidden_bias is not None:
            mapped = mapped + np.maximum(rows @ self.hidden_weight + self.hidden_bias, 0) @ self.output_weight
        lengths = np.linalg.norm(mapped, axis=1, keepdims=True)
        return np.asarray(mapped / np.maximum(lengths, 1e-12), dtype=np.float32)

    def arrays(self) -> dict[str, FloatArray]:
        """Its arrays by name, without those that it lacks."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: array for name, array in named.items() if array is not None}


@dataclass(frozen=True, slots=True)
class Head:
    """A head and what it was made for.

    Attributes:
        base_model: spec of the model under it, as ``--model`` takes it.
        base_dir: where that model's files lie, None for the usual place.
        base_space: the space of that model's vectors.
        maps: by modality; one that is absent keeps its vectors where the lengths agree.
        dim: length of a vector.
        uses_features: whether it reads the base model's features in place of its vectors.
        report: what was measured when it was made.
    """

    base_model: str
    base_dir: Path | None
    base_space: Space
    maps: Mapping[Modality, HeadMap]
    dim: int
    uses_features: bool = False
    report: Mapping[str, Any] = field(default_factory=dict)


class AdaptedEncoder:
    """A base encoder and the head on top of it."""

    def __init__(self, base: Encoder, head: Head, revision: str) -> None:
        self.base = base
        self.head = head
        self.modalities = base.modalities
        if head.dim != base.space.dim or head.uses_features:
            self.modalities = base.modalities & frozenset(head.maps)
        self.audio_rate_hz = base.audio_rate_hz
        under = base.space
        self.space = Space(f"{under.encoder}+head", revision, under.preprocessing, head.dim)

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """Embed samples of any mix of modalities, in order: (N, dim) float32 unit rows.

        Raises:
            ModalityUnsupported: neither the base model nor the head knows a sample's modality.
            EncoderError: a sample cannot be embedded.
        """
        for sample in samples:
            if sample.modality not in self.modalities:
                raise ModalityUnsupported(
                    f"the model with this head cannot embed {sample.modality.value}",
                    hint=f"it embeds {', '.join(sorted(self.modalities))}",
                )
        rows = np.zeros((len(samples), self.head.dim), dtype=np.float32)
        under = base_rows(self.base, samples, features=self.head.uses_features)
        for modality in {sample.modality for sample in samples}:
            places = [place for place, sample in enumerate(samples) if sample.modality == modality]
            found = np.stack([under[place] for place in places])
            mapped = self.head.maps.get(modality)
            # One by one, since a product of many rows may round otherwise than that of one.
            rows[places] = found if mapped is None else np.concatenate([mapped(row[None]) for row in found])
        return rows

    def close(self) -> None:
        """Free the base model; it loads again when it is used again."""
        self.base.close()


def base_rows(base: Encoder, samples: Sequence[Sample], *, features: bool) -> Sequence[FloatArray]:
    """What a head reads of each sample: the base model's vectors, or its features.

    Raises:
        ModalityUnsupported: the base model tells no features.
    """
    if not features:
        return list(base.encode(samples))
    if not isinstance(base, FeatureSource):
        raise ModalityUnsupported(f"{base.space.encoder} tells no features, only vectors")
    return base.features(samples)


def load(model_dir: Path | None = None) -> AdaptedEncoder:
    """Open a model with a head.

    Args:
        model_dir: the folder that a training made.

    Raises:
        ModelNotFound: there is none, or the model under it is missing.
        ModelCorrupt: a file of it is damaged.
        SpaceMismatch: the model under it is another than the one it was made for.
    """
    if model_dir is None or not (model_dir / CONFIG_NAME).is_file():
        raise ModelNotFound(f"{model_dir}: there is no model with a head")
    head, revision = read_head(model_dir)
    base = open_encoder(head.base_model, head.base_dir)
    if base.space.fingerprint != head.base_space.fingerprint:
        base.close()
        raise SpaceMismatch(
            f"{model_dir} was made for {head.base_space}, and {head.base_model!r} is {base.space} now",
            hint="train it again",
        )
    return AdaptedEncoder(base, head, revision)


def read_head(folder: Path) -> tuple[Head, str]:
    """A head and its revision, 16 hexadecimal digits.

    Raises:
        ModelCorrupt: a file of it is damaged.
    """
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise ModelCorrupt(f"{path} is of format {config['format']}", hint="upgrade searchkit")
        weights = folder / WEIGHTS_NAME
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != config["files"][WEIGHTS_NAME]["sha256"]:
            raise ModelCorrupt(f"{weights} is damaged", hint="train it again, or copy it again")
        with np.load(weights, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        maps: dict[Modality, dict[str, FloatArray]] = {}
        for name, array in arrays.items():
            modality, _, part = name.partition(".")
            maps.setdefault(Modality.stored(modality), {})[part] = array.astype(np.float32)
        base = config["base"]
        head = Head(
            base_model=str(base["model"]),
            base_dir=None if base["model_dir"] is None else Path(base["model_dir"]),
            base_space=Space(**base["space"]),
            maps={modality: HeadMap(**parts) for modality, parts in maps.items()},
            dim=int(config["dim"]),
            uses_features=bool(config["uses_features"]),
            report=config.get("report", {}),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(f"{path}: damaged: {error}", hint="train it again, or copy it again") from error
    identity = hashlib.sha256(f"{head.base_space.fingerprint} {head.uses_features}".encode())
    for name in sorted(arrays):
        identity.update(f"{name} {arrays[name].shape} ".encode() + arrays[name].astype("<f4").tobytes())
    return head, identity.hexdigest()[:16]


def write_head(folder: Path, head: Head) -> str:
    """Write a model with a head, whole or not at all.

    Returns:
        Its revision.

    Raises:
        UsageError: there is something at the folder already.
        DiskFull: the device is full.
    """
    arrays = {
        f"{modality}.{name}": array
        for modality, mapped in sorted(head.maps.items())
        for name, array in mapped.arrays().items()
    }
    space = head.base_space
    config = {
        "format": FORMAT,
        "base": {
            "model": head.base_model,
            "model_dir": None if head.base_dir is None else str(head.base_dir),
            "space": {
                "encoder": space.encoder,
                "revision": space.revision,
                "preprocessing": space.preprocessing,
                "dim": space.dim,
            },
        },
        "dim": head.dim,
        "uses_features": head.uses_features,
        "report": dict(head.report),
    }
    with whole_folder(folder) as partial:
        with replace_file(partial / WEIGHTS_NAME) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        content = (partial / WEIGHTS_NAME).read_bytes()
        config["files"] = {
            WEIGHTS_NAME: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        }
        write_text(partial / CONFIG_NAME, json.dumps(config, indent=1))
    return read_head(folder)[1]

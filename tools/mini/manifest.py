"""Write the manifest: hashes, settings, and how unrelated things of two modalities score in the space."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.encoders.mini import load
from searchkit.encoders.mini.files import FORMAT, MANIFEST
from searchkit.types import AudioSample, ImageSample, Sample, TextSample

from . import space
from .arrays import Array
from .drawings import Drawing

TEXTS, DRAWINGS = 400, 400


def write_manifest(model: Path, dim: int) -> None:
    """List every file of the folder, with the settings of the bridge."""
    files = listed_files(model)
    settings = {
        "temperature": space.TEMPERATURE,
        "dense_weight": space.DENSE_WEIGHT,
        "image_temperature": space.IMAGE_TEMPERATURE,
        "image_top": space.IMAGE_TOP,
        "sound_top": space.SOUND_TOP,
        "head_weight": space.HEAD_WEIGHT,
    }
    # The identity of the weights covers the settings, which change vectors as much.
    identity = json.dumps([settings, files], sort_keys=True).encode()
    revision = hashlib.sha256(identity).hexdigest()[:16]
    _write(
        model,
        {
            "format": FORMAT,
            "name": "mini",
            "revision": revision,
            "dim": dim,
            "settings": settings,
            "files": files,
        },
    )


def listed_files(model: Path) -> dict[str, dict[str, Any]]:
    """Size and hash of every file of the folder but the manifest."""
    files = {}
    for path in sorted(path for path in model.iterdir() if path.name != MANIFEST):
        content = path.read_bytes()
        files[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return files


def add_background(
    model: Path, texts: Sequence[str], drawings: Sequence[Drawing], sounds: Iterable[AudioSample]
) -> None:
    """Add mean and deviation of the scores between background samples, for each pair of modalities."""
    encoder = load(model, threads=1)
    samples: dict[str, list[Sample]] = {
        "text": [TextSample(text) for text in _spread(texts, TEXTS)],
        "image": [ImageSample(drawing.pixels()) for drawing in _spread(drawings, DRAWINGS)],
        "audio": list(sounds),
    }
    rows = {name: encoder.encode(group) for name, group in samples.items()}
    manifest: dict[str, Any] = json.loads((model / MANIFEST).read_text(encoding="utf-8"))
    manifest["background"] = {
        f"{query} to {target}": _mean_and_deviation(rows[query] @ rows[target].T, query == target)
        for query in rows
        for target in rows
    }
    _write(model, manifest)


def _spread(values: Sequence[Any], count: int) -> list[Any]:
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, min(count, len(values)))]


def _mean_and_deviation(scores: Array, same: bool) -> list[float]:
    if same:
        scores = scores[~np.eye(len(scores), dtype=bool)]
    return [round(float(scores.mean()), 4), round(float(scores.std()), 4)]


def _write(model: Path, manifest: dict[str, Any]) -> None:
    (model / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

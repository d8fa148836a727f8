"""What the fit starts from: drawings and background sounds, and what the towers say of them."""

import hashlib
import inspect
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from searchkit.encoders.mini import logmel, pixels, tower
from searchkit.encoders.mini.branches import ImageBranch, SoundBranch
from searchkit.encoders.mini.files import ModelFiles
from searchkit.types import AudioSample, ImageSample

from . import drawings as drawings_module
from . import space
from .arrays import Array
from .drawings import Drawing, clipart_drawings, emoji_drawings
from .fetch import fetch
from .manifest import listed_files

BACKGROUND_SECONDS = 30


@dataclass(frozen=True)
class Inputs:
    """What the fit starts from, all computed by the towers that ship."""

    drawings: list[Drawing]
    features: Array
    image_probabilities: Array
    sound_probabilities: Array


def run_towers(cache: Path, model: Path) -> Inputs:
    """Look at all drawings and hear all background sounds, or take from the cache what the same towers said.

    Each sample is run on one thread, so that what comes out does not depend on how many cores there are.
    """
    emoji = emoji_drawings(
        fetch("emoji-datasource-google", cache),
        fetch("emoji-datasource-twitter", cache),
        fetch("@lobehub/fluent-emoji-3d", cache),
        fetch("emojilib", cache),
    )
    drawings = [*emoji, *clipart_drawings(fetch("openclipart-svg", cache))]
    said = cache / f"towers-{_identity(model)}.npz"
    if not said.exists():
        partial = said.with_suffix(".partial.npz")
        np.savez(partial, allow_pickle=False, **_said(cache, model, drawings))
        partial.replace(said)
    with np.load(said, allow_pickle=False) as stored:
        kept = [drawings[index] for index in stored["kept"]]
        return Inputs(kept, stored["features"], stored["probabilities"], stored["heard"])


def opened(model: Path) -> ModelFiles:
    """The files of a model that is still without its manifest."""
    settings = {"image_temperature": space.IMAGE_TEMPERATURE}
    return ModelFiles(model, {"settings": settings, "files": listed_files(model)})


def background_sounds(cache: Path) -> Iterator[AudioSample]:
    """Short sounds of many kinds, at 16 kHz."""
    paths = sorted(fetch("sonic-pi-samples", cache).rglob("*.flac"))
    paths += sorted((fetch("ion-sound", cache) / "package" / "sounds").glob("*.ogg"))
    for path in paths:
        waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = waveform.mean(axis=1)[: rate * BACKGROUND_SECONDS]
        yield AudioSample(soxr.resample(mono, rate, 16_000).astype(np.float32), 16_000)


def _identity(model: Path) -> str:
    """Of the towers, their settings, and the code between a file and their outputs."""
    code = (
        drawings_module,
        pixels,
        logmel,
        tower,
        ImageBranch.classify,
        SoundBranch.classify,
        SoundBranch._pooled,
    )
    content = [inspect.getsource(part).encode() for part in code]
    content += [(model / name).read_bytes() for name in ("image.onnx", "sound.onnx")]
    parts = [hashlib.sha256(part).digest() for part in (*content, str(space.IMAGE_TEMPERATURE).encode())]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _said(cache: Path, model: Path, drawings: list[Drawing]) -> dict[str, Array]:
    files = opened(model)
    image, sound = ImageBranch(files, 1), SoundBranch(files, 1)

    def look(number: int) -> tuple[int, Array, Array] | None:
        if number % 1000 == 0:
            print(f"drawing {number} of {len(drawings)}", file=sys.stderr)
        try:
            return (number, *image.classify(ImageSample(drawings[number].pixels())))
        except ValueError as error:  # some drawings of 2005 are not quite SVG
            print(f"left out {drawings[number].path.name}: {error}", file=sys.stderr)
            return None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = [row for row in pool.map(look, range(len(drawings))) if row is not None]
        heard = list(pool.map(sound.classify, background_sounds(cache)))
    kept, features, probabilities = zip(*seen, strict=True)
    return {
        "kept": np.array(kept),
        "features": np.array(features),
        "probabilities": np.array(probabilities),
        "heard": np.array(heard),
    }

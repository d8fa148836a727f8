"""Text, image and sound branch: from one sample to one vector; each loads its files when it is first used."""

from __future__ import annotations

import io
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from searchkit.encoders.mini.bridge import (
    ClassBridge,
    FeatureHead,
    TextBridge,
    Whitening,
    dequantise,
    join,
    unit,
)
from searchkit.encoders.mini.files import ModelFiles
from searchkit.encoders.mini.logmel import RATE_HZ, at_common_level, log_mel_patches
from searchkit.encoders.mini.pixels import to_square
from searchkit.encoders.mini.tower import Tower
from searchkit.errors import EncoderError
from searchkit.types import AudioSample, FloatArray, ImageSample, TextSample

if TYPE_CHECKING:
    import tokenizers

__all__ = ["ImageBranch", "SoundBranch", "TextBranch"]

TEXT_TOKENS = 256
PATCHES_AT_ONCE = 64


class _Branch:
    """A tower, and the arrays that lead from its outputs into the space."""

    name = ""

    def __init__(self, files: ModelFiles, threads: int | None) -> None:
        self.files = files
        self.tower = Tower(files, f"{self.name}.onnx", threads)
        self.settings = files.manifest["settings"]

    @cached_property
    def arrays(self) -> dict[str, FloatArray]:
        """The tables of this branch, as float32."""
        return _arrays(self.files, f"{self.name}.npz")

    @cached_property
    def whitening(self) -> Whitening:
        """From both parts to the space; the same in all branches."""
        a = _arrays(self.files, "space.npz")
        return Whitening(a["diagonal"], a["rest"])

    def _vector(self, anchors: FloatArray, dense: FloatArray) -> FloatArray:
        return self.whitening(join(anchors, dense, float(self.settings["dense_weight"])))

    def _class_bridge(self) -> ClassBridge:
        a = self.arrays
        top = int(self.settings[f"{self.name}_top"])
        return ClassBridge(a["gain"], top, a["anchors"], a["dense"], a["anchor_mean"], a["dense_mean"])

    def close(self) -> None:
        """Free everything that was loaded."""
        self.tower.close()
        for name in ("arrays", "bridge", "head", "tokenizer", "whitening"):
            self.__dict__.pop(name, None)


class TextBranch(_Branch):
    """all-MiniLM-L6-v2. A text is cut after 256 word pieces, about 200 English words."""

    name = "text"

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """Text to word pieces."""
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_buffer(self.files.read("tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(TEXT_TOKENS)
        return tokenizer

    @cached_property
    def bridge(self) -> TextBridge:
        """Text embedding to the parts of a vector."""
        a = self.arrays
        temperature = float(self.settings["temperature"])
        return TextBridge(a["anchors"], temperature, a["anchor_mean"], a["dense_mean"])

    def features(self, sample: TextSample) -> tuple[FloatArray, FloatArray]:
        """The tower's embedding (t,) and the vector (dim,) of one sample."""
        if not sample.text.strip():
            raise EncoderError("an empty text has no meaning to embed", hint="give at least one word")
        tokens = np.array([self.tokenizer.encode(sample.text).ids], dtype=np.int64)
        (embedding,) = self.tower.run(tokens)
        return embedding[0], self._vector(*self.bridge(embedding[0]))


class ImageBranch(_Branch):
    """EfficientNet-Lite0: its 1000 classes through words, plus a head on its features."""

    name = "image"

    @cached_property
    def bridge(self) -> ClassBridge:
        """Class probabilities to the parts of a vector."""
        return self._class_bridge()

    @cached_property
    def head(self) -> FeatureHead:
        """Features into the space."""
        return FeatureHead(self.arrays["head_weight"], self.arrays["head_bias"])

    def classify(self, sample: ImageSample) -> tuple[FloatArray, FloatArray]:
        """Features (1280,) and class probabilities (1000,)."""
        square = to_square(sample.pixels).astype(np.float32)
        pixels = np.ascontiguousarray(((square - 127) / 128).transpose(2, 0, 1)[None])
        features, logits = self.tower.run(pixels)
        scores = logits[0] / np.float32(self.settings["image_temperature"])
        weights = np.exp(scores - scores.max())
        return features[0], weights / weights.sum()

    def features(self, sample: ImageSample) -> tuple[FloatArray, FloatArray]:
        """Roots of the tower's features (1280,), and the vector (dim,) of one sample."""
        features, probabilities = self.classify(sample)
        vector = self._vector(*self.bridge(probabilities))
        vector = unit(vector + np.float32(self.settings["head_weight"]) * self.head(features))
        roots = np.asarray(np.sqrt(np.maximum(features, 0)), dtype=np.float32)
        return roots, vector


class SoundBranch(_Branch):
    """YAMNet: its 521 classes through words.

    A sound is heard twice, as it is and at a common level; mean and maximum over the patches count half each.
    """

    name = "sound"

    @cached_property
    def bridge(self) -> ClassBridge:
        """Class probabilities to the parts of a vector."""
        return self._class_bridge()

    def classify(self, sample: AudioSample) -> FloatArray:
        """Class probabilities (521,), pooled over time and both hearings."""
        if sample.rate_hz != RATE_HZ:
            raise EncoderError(
                f"mini needs sound at {RATE_HZ} Hz, got {sample.rate_hz} Hz",
                hint="resample it first, as searchkit.media.open_media does",
            )
        heard = self._pooled(sample.waveform) + self._pooled(at_common_level(sample.waveform))
        return np.asarray(heard / 2, dtype=np.float32)

    def _pooled(self, waveform: FloatArray) -> FloatArray:
        patches = log_mel_patches(waveform)
        blocks = range(0, len(patches), PATCHES_AT_ONCE)
        logits = np.concatenate([self.tower.run(patches[i : i + PATCHES_AT_ONCE])[1] for i in blocks])
        probabilities = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
        return np.asarray((probabilities.mean(axis=0) + probabilities.max(axis=0)) / 2, dtype=np.float32)

    def features(self, sample: AudioSample) -> tuple[FloatArray, FloatArray]:
        """Roots of the class probabilities (521,), and the vector (dim,) of one sample."""
        probabilities = self.classify(sample)
        roots = np.asarray(np.sqrt(probabilities), dtype=np.float32)
        return roots, self._vector(*self.bridge(probabilities))


def _arrays(files: ModelFiles, name: str) -> dict[str, FloatArray]:
    """The arrays of a file, as float32."""
    with np.load(io.BytesIO(files.read(name)), allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    for key in [key for key in arrays if key.endswith("_scale")]:
        plain = key.removesuffix("_scale")
        arrays[plain] = dequantise(arrays[plain], arrays.pop(key))
    return {key: value.astype(np.float32) for key, value in arrays.items()}

"""The built-in encoder: hands each sample to the branch of its modality, one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from searchkit.encoders.mini import branches, logmel, pixels
from searchkit.encoders.mini.branches import ImageBranch, SoundBranch, TextBranch
from searchkit.encoders.mini.bridge import unit
from searchkit.encoders.mini.files import MANIFEST, ModelFiles
from searchkit.errors import ModalityUnsupported, ModelNotFound
from searchkit.types import AudioSample, FloatArray, ImageSample, Modality, Sample, Space, TextSample

__all__ = ["MiniEncoder", "load"]

_MODEL_DIR = Path(__file__).parent / "model"

# Raised when code between a sample and the towers changes vectors without changing a constant below.
_REVISION = 1


class MiniEncoder:
    """Small frozen towers for text, images and sounds, bridged through everyday words.

    Samples are embedded one at a time, so that a vector never depends on its neighbours, to the last bit.
    A branch (tower, tokenizer, tables) is loaded when the first sample of its modality comes.

    Silence, a sound of a few samples and a picture of one pixel have vectors like any other; a text without
    a visible character raises EncoderError. Texts are cut after 256 word pieces. A sound of any length
    becomes one vector, from all of it.
    """

    def __init__(self, files: ModelFiles, *, threads: int | None = None) -> None:
        """Take the model's files; nothing is loaded yet.

        Args:
            files: the model.
            threads: how many cores a branch uses; None for ``OMP_NUM_THREADS``, else for all.
        """
        self._files = files
        self._text = TextBranch(files, threads)
        self._image = ImageBranch(files, threads)
        self._sound = SoundBranch(files, threads)
        manifest = files.manifest
        self.space = Space("mini", str(manifest["revision"]), _preprocessing(), int(manifest["dim"]))
        self.modalities = frozenset({Modality.TEXT, Modality.IMAGE, Modality.AUDIO})
        self.audio_rate_hz = logmel.RATE_HZ

    @property
    def loaded(self) -> frozenset[Modality]:
        """The modalities whose towers are in memory."""
        towers = {
            Modality.TEXT: self._text.tower,
            Modality.IMAGE: self._image.tower,
            Modality.AUDIO: self._sound.tower,
        }
        return frozenset(modality for modality, tower in towers.items() if tower.loaded)

    @property
    def background(self) -> dict[tuple[Modality, Modality], tuple[float, float]]:
        """Mean and deviation of the scores of unrelated things, for each (query, target) pair of modalities.

        From drawings, short sounds and single words: a start where a library is too small to tell.
        """
        listed = self._files.manifest.get("background", {})
        pairs = {tuple(map(Modality, name.split(" to "))): figures for name, figures in listed.items()}
        return {(pair[0], pair[1]): (float(figures[0]), float(figures[1])) for pair, figures in pairs.items()}

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """Embed samples of any mix of modalities, in order.

        Returns:
            (N, dim) float32 unit rows.

        Raises:
            EncoderError: an empty text, or a sound that is not at ``audio_rate_hz``.
            ModelNotFound: a file of the model has gone.
            ModelCorrupt: a file of the model does not load.
        """
        rows = np.empty((len(samples), self.space.dim), dtype=np.float32)
        for index, sample in enumerate(samples):
            rows[index] = self._embed(sample)
        return rows

    def verify(self) -> None:
        """Hash every file of the model, about 0.1 s.

        Raises:
            ModelNotFound: a file is missing.
            ModelCorrupt: a file is not what the manifest says.
        """
        self._files.verify()

    def close(self) -> None:
        """Free the towers; they load again when they are used again."""
        for branch in (self._text, self._image, self._sound):
            branch.close()

    def features(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """What the towers see, for a head on top of them: the tower's unit features, then the vector.

        Returns:
            One float32 array a sample, as long as its modality's features are.
        """
        return [np.concatenate([unit(tower), vector]) for tower, vector in map(self._features, samples)]

    def _embed(self, sample: Sample) -> FloatArray:
        return self._features(sample)[1]

    def _features(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        match sample:
            case TextSample():
                return self._text.features(sample)
            case ImageSample():
                return self._image.features(sample)
            case AudioSample():
                return self._sound.features(sample)
        raise ModalityUnsupported(
            f"mini embeds texts, images and sounds, not {type(sample).__name__}",
            hint="`searchkit models list` shows what each model embeds",
        )


def load(model_dir: Path | None = None, *, threads: int | None = None) -> MiniEncoder:
    """Open the built-in encoder; reads only its manifest and the sizes of its files.

    Args:
        model_dir: a folder with another build of it; None for the one that ships with searchkit.
        threads: how many cores a branch uses; None for ``OMP_NUM_THREADS``, else for all.

    Raises:
        ModelNotFound: a file is missing.
        ModelCorrupt: the manifest or the size of a file is wrong.
    """
    if model_dir is not None and not (model_dir / MANIFEST).is_file():
        raise ModelNotFound(
            f"no model at {model_dir}: it holds no {MANIFEST}",
            hint="check --model-dir (tools/build_mini.py makes one); without it, the built-in one is taken",
        )
    return MiniEncoder(ModelFiles.open(model_dir or _MODEL_DIR), threads=threads)


def _preprocessing() -> str:
    """Identity of what lies between a sample and the towers; the bridge is part of the revision."""
    values = (
        _REVISION,
        (pixels.SIDE_PX, pixels.MARGIN, pixels.BORDER_TOLERANCE, pixels.MOST_STRETCH),
        (logmel.RATE_HZ, logmel.FRAME_SAMPLES, logmel.HOP_SAMPLES, logmel.FFT_SAMPLES, logmel.LOG_OFFSET),
        (logmel.MEL_BANDS, logmel.MEL_LOW_HZ, logmel.MEL_HIGH_HZ),
        (logmel.PATCH_FRAMES, logmel.PATCH_HOP_FRAMES, logmel.LEVEL, logmel.MOST_GAIN),
        branches.TEXT_TOKENS,
    )
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]

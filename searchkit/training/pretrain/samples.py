"""Decodes a pair into a model's inputs, with mild augmentation; what cannot be decoded raises DecodeError."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
import soundfile
from PIL import Image

from searchkit.errors import CheckpointError, DecodeError, EncoderError
from searchkit.one_peace.config import TaskConfig
from searchkit.one_peace.pixels import normalise_pixels, resize_picture
from searchkit.one_peace.tokenizer import TextTokenizer, clean_caption
from searchkit.one_peace.waveforms import RATE_HZ, prepare_waveform, resample
from searchkit.training.pretrain.pairs import Pair
from searchkit.types import FloatArray

__all__ = ["Sample", "SampleReader"]

_QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair, decoded.

    Attributes:
        ids: the text's token ids, eos last.
        words: the number of the word that each token belongs to; eos has none.
        media: (3, S, S) normalised pixels, or (n,) a normalised 16 kHz waveform.
        caption_id: equal for equal texts.
        media_id: equal for the same file.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...]
    media: FloatArray
    caption_id: int
    media_id: int


class SampleReader:
    """Decodes pairs for one model.

    Args:
        task: sizes of pictures, sounds and texts.
        tokenizer: the model's.
        crop_scale: smallest share of a picture's area, or of a sound's length, that an augmented crop keeps;
            1 leaves media as they are.
        flip: mirror half of the pictures.
    """

    def __init__(
        self, task: TaskConfig, tokenizer: TextTokenizer, *, crop_scale: float = 1.0, flip: bool = False
    ) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.crop_scale = crop_scale
        self.flip = flip

    def read(self, pair: Pair, chance: np.random.Generator) -> Sample:
        """Decode one pair; the same state of `chance` gives the same sample.

        Raises:
            DecodeError: the media cannot be decoded, or the text is empty.
        """
        text = clean_caption(pair.texts[int(chance.integers(len(pair.texts)))])
        if not text:
            raise DecodeError(pair.key, "its text is empty")
        ids, words = self.tokenizer.encode_words(text)
        try:
            content = pair.read()
            if pair.modality == "image":
                media = self._picture(content, chance)
            else:
                media = self._sound(content, chance)
        except (OSError, ValueError, SyntaxError, RuntimeError, EncoderError, CheckpointError) as error:
            raise DecodeError(pair.key, f"cannot be decoded: {error}") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
            raise DecodeError(pair.key, f"too large: {error}") from error
        place = f"{pair.path}:{pair.start}"
        return Sample(tuple(ids), tuple(words), media, _number(text), _number(place))

    def _picture(self, content: bytes, chance: np.random.Generator) -> FloatArray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as opened:
                image = opened.convert("RGB")
        if self.crop_scale < 1:
            side = float(np.sqrt(chance.uniform(self.crop_scale, 1)))
            width, height = max(1, round(image.width * side)), max(1, round(image.height * side))
            left = int(chance.integers(image.width - width + 1))
            top = int(chance.integers(image.height - height + 1))
            image = image.crop((left, top, left + width, top + height))
        pixels = resize_picture(image, self.task.patch_image_size)
        if self.flip and chance.random() < 0.5:
            pixels = pixels[:, ::-1]
        normalised: FloatArray = normalise_pixels([pixels])[0]
        return normalised

    def _sound(self, content: bytes, chance: np.random.Generator) -> FloatArray:
        samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
        waveform = resample(samples.mean(axis=1, dtype=np.float32), int(rate_hz))
        if not len(waveform) or float(np.abs(waveform).max()) < _QUIET:
            raise ValueError("the sound is silent")
        longest = self.task.max_duration * RATE_HZ
        if self.crop_scale < 1:
            kept = max(1, int(len(waveform) * chance.uniform(self.crop_scale, 1)))
            start = int(chance.integers(len(waveform) - min(kept, longest) + 1))
            waveform = waveform[start : start + kept]
        return prepare_waveform(waveform, max_duration_s=self.task.max_duration)


def _number(text: str) -> int:
    """63 bits that stand for a text on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

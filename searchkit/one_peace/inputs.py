"""From samples to the arguments of a model's adapters; the encoder and the training prepare them alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from searchkit.errors import ModalityUnsupported
from searchkit.modality import plug_of
from searchkit.one_peace.config import ModelConfig, frame_count, parse_conv_spec
from searchkit.one_peace.pixels import MEAN, STD, normalise_pixels, resize_picture
from searchkit.one_peace.tokenizer import TextTokenizer, pad_ids
from searchkit.one_peace.waveforms import RATE_HZ, RESAMPLER, pad_waveforms, prepare_waveform, resample
from searchkit.types import ArraySample, AudioSample, ImageSample, Sample, TextSample

__all__ = ["ModelInputs"]

_LONGEST_S = 20
_PREPROCESSING = 1


class ModelInputs:
    """What a model wants of a sample.

    Args:
        config: the model.
        tokenizer: gives its tokenizer, asked when the first text comes.
    """

    def __init__(self, config: ModelConfig, tokenizer: Callable[[], TextTokenizer]) -> None:
        self.config = config
        audio = config.encoder.adapters.get("audio", {})
        self._spec = parse_conv_spec(audio.get("feature_encoder_spec"))
        self._open_tokenizer = tokenizer
        self._tokenizer: TextTokenizer | None = None

    def identity(self, *details: object, batch: bool = False) -> str:
        """Everything between a sample and the model that changes vectors, as 16 hexadecimal digits.

        Args:
            *details: what else does.
            batch: whether a sound sees what it was padded with.
        """
        task = self.config.task
        plugs = tuple(
            (name, plug_of(name).revision)
            for name in self.config.modalities
            if name not in ("text", "image", "audio")
        )
        facts = (
            _PREPROCESSING,
            ("text", task.max_src_length),
            ("image", task.patch_image_size, "pillow-bicubic", MEAN, STD),
            ("audio", RATE_HZ, RESAMPLER, task.max_duration, "batch" if batch else "alone"),
            *details,
            *plugs,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def ready(self, sample: Sample) -> Any:
        """A sample on its own, prepared: token ids, resized pixels, a waveform, or an array of fixed shape.

        Raises:
            EncoderError: it cannot be embedded.
            ModalityUnsupported: the model lacks its modality.
        """
        if sample.modality not in self.config.modalities:
            raise ModalityUnsupported(f"the model cannot embed {sample.modality.value}")
        match sample:
            case TextSample():
                if self._tokenizer is None:
                    self._tokenizer = self._open_tokenizer()
                return self._tokenizer.encode(sample.text)
            case ImageSample():
                return resize_picture(sample.pixels, self.config.task.patch_image_size)
            case AudioSample():
                longest_s = min(self.config.task.max_duration, _LONGEST_S)
                waveform = resample(sample.waveform, sample.rate_hz)
                return prepare_waveform(waveform, max_duration_s=longest_s)
            case ArraySample():
                name = sample.modality.value
                plug = plug_of(name)
                options = {**plug.options, **self.config.encoder.adapters.get(name, {})}
                return plug.prepare(sample.values, {**options, "size_px": self.config.task.patch_image_size})

    def length(self, modality: str, ready: Any) -> int:
        """How many positions of the trunk a prepared sample takes, about; for cutting batches."""
        if modality == "text":
            return len(ready)
        if modality == "audio":
            return frame_count(len(ready), self._spec)
        return int((self.config.task.patch_image_size // 16) ** 2)

    def batch(self, modality: str, ready: Sequence[Any]) -> dict[str, torch.Tensor]:
        """Prepared samples of one modality as the arguments of its adapter."""
        if modality == "text":
            return {"src_tokens": torch.from_numpy(pad_ids(ready))}
        if modality == "image":
            return {"src_images": torch.from_numpy(normalise_pixels(ready))}
        if modality == "audio":
            waveforms, masks = pad_waveforms(ready, self._spec)
            return {
                "src_audios": torch.from_numpy(waveforms),
                "audio_padding_masks": torch.from_numpy(masks),
            }
        return {"values": torch.from_numpy(np.stack(ready))}

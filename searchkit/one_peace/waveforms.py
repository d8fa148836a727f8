"""Sounds to the audio adapter's input: 16 kHz mono, each clip brought to zero mean and unit variance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from searchkit.errors import DecodeError, EncoderError
from searchkit.one_peace.config import frame_count
from searchkit.types import FloatArray

__all__ = ["RATE_HZ", "RESAMPLER", "open_sound", "pad_waveforms", "prepare_waveform", "resample"]

RATE_HZ = 16_000
RESAMPLER = "soxr-HQ"
_SHORTEST_S = 1


def open_sound(path: Path | str) -> FloatArray:
    """Read a sound file as (n,) 16 kHz mono.

    Raises:
        DecodeError: the file is missing, is no sound, or holds no sample.
    """
    try:
        samples, rate_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise DecodeError(path, f"not a readable sound: {error}") from error
    if not len(samples):
        raise DecodeError(path, "the sound is empty")
    return resample(np.mean(samples, axis=1, dtype=np.float32), int(rate_hz))


def resample(waveform: FloatArray, rate_hz: int) -> FloatArray:
    """Bring (n,) at `rate_hz` to ceil(n * 16000 / rate_hz) samples at 16 kHz with soxr's HQ quality."""
    if rate_hz == RATE_HZ:
        return waveform
    length = int(np.ceil(len(waveform) * RATE_HZ / rate_hz))
    resampled = soxr.resample(waveform, rate_hz, RATE_HZ, quality="HQ")[:length]
    padded: FloatArray = np.pad(resampled, (0, length - len(resampled))).astype(np.float32)
    return padded


def prepare_waveform(waveform: FloatArray, *, max_duration_s: int = 15) -> FloatArray:
    """Normalise a 16 kHz clip as a whole, then cut it; a clip under one second is repeated up to one second.

    Raises:
        EncoderError: the clip is empty or not finite.
    """
    if not len(waveform):
        raise EncoderError("a sound needs at least one sample")
    precise = waveform.astype(np.float64)
    if not np.isfinite(precise).all():
        raise EncoderError("a sound needs finite samples, got NaN or infinity")
    deviation = np.sqrt(precise.var() + 1e-5)
    clip: FloatArray = ((precise - precise.mean()) / deviation).astype(np.float32)
    clip = clip[: max_duration_s * RATE_HZ]
    shortest = _SHORTEST_S * RATE_HZ
    if len(clip) < shortest:
        clip = np.tile(clip, -(-shortest // len(clip)))[:shortest]
    return clip


def pad_waveforms(
    clips: Sequence[FloatArray], spec: tuple[tuple[int, int, int], ...]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Pad clips with zeros to one length.

    Args:
        clips: prepared waveforms.
        spec: the waveform encoder's convolutions, which decide how many frames a clip has.

    Returns:
        Waveforms (B, samples), and the padding mask (B, frames + 1): cls first, True at padding.

    Raises:
        EncoderError: there is no clip.
    """
    if not clips:
        raise EncoderError("at least one sound is needed, got an empty list")
    lengths = [len(clip) for clip in clips]
    waveforms = np.zeros((len(clips), max(lengths)), dtype=np.float32)
    mask = np.ones((len(clips), frame_count(max(lengths), spec) + 1), dtype=np.bool_)
    for row, clip in enumerate(clips):
        waveforms[row, : len(clip)] = clip
        mask[row, : frame_count(len(clip), spec) + 1] = False
    return waveforms, mask

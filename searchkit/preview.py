"""Previews of what a search found: a small picture, or how loud a sound is over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from searchkit.errors import SearchkitError
from searchkit.media import DecodeSettings, open_media
from searchkit.modality import plug_of
from searchkit.types import ArraySample, AudioSample, FloatArray, ImageSample, Modality, Sample, Span

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["in_sequence", "loudness", "peaks_of", "picture_of", "plugged_picture"]

_SOUND = DecodeSettings(audio_rate_hz=8000, audio_window_s=30.0, audio_overlap_s=0.0)
_FARTHEST_S = 600.0
_LONGEST_S = 120.0
_LEAST_PEAK = 1e-3


def picture_of(path: Path, modality: Modality, span: Span | None, side_px: int) -> Image.Image | None:
    """A picture, or the frame of a video at the start of a span, as RGB that fits into a square.

    Returns:
        None when there is nothing to see, or the file cannot be read any more.
    """
    try:
        pixels = _pixels(path, modality, span, side_px)
    except (SearchkitError, OSError):
        return None
    if pixels is None:
        return None
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((side_px, side_px), reducing_gap=3.0)
    return picture


def peaks_of(path: Path, span: Span | None, bins: int) -> FloatArray | None:
    """How loud a sound is over time: (bins,) from 0 to 1, of its span or its first two minutes.

    Returns:
        None when there is nothing to hear, it lies too far in, or the file cannot be read any more.
    """
    start_s, end_s = (span.start_s, span.end_s) if span else (0.0, _LONGEST_S)
    if start_s > _FARTHEST_S:
        return None
    try:
        parts = list(_within(path, start_s, min(end_s, start_s + _LONGEST_S)))
    except (SearchkitError, OSError):
        return None
    wave = np.abs(np.concatenate(parts)) if parts else np.zeros(0, np.float32)
    return loudness(wave, bins) if len(wave) else None


def in_sequence(samples: Iterable[Sample]) -> Iterator[tuple[int, FloatArray]]:
    """The windows of a sound as (rate, waveform) that follow one another: what two share comes once.

    Even without a chosen overlap the last window does, since it ends where the sound ends.
    """
    at = 0
    for sample in samples:
        if isinstance(sample, AudioSample):
            start = round(sample.span.start_s * sample.rate_hz) if sample.span else 0
            wave = sample.waveform[max(0, at - start) :]
            at += len(wave)
            yield sample.rate_hz, wave


def loudness(levels: FloatArray, bins: int) -> FloatArray:
    """Absolute values (N,), N >= 1, as (bins,) from 0 to 1: roots of peaks, which show quiet passages."""
    edges = np.linspace(0, len(levels), bins + 1).astype(int)
    # A sound with fewer values than bins repeats some.
    starts = np.minimum(edges[:-1], len(levels) - 1)
    peaks = np.array(
        [levels[first : max(last, first + 1)].max() for first, last in zip(starts, edges[1:], strict=True)]
    )
    shown: FloatArray = np.sqrt(peaks / max(float(peaks.max()), _LEAST_PEAK)).astype(np.float32)
    return shown


def _pixels(path: Path, modality: Modality, span: Span | None, side_px: int) -> npt.NDArray[np.uint8] | None:
    if modality is Modality.VIDEO:
        from searchkit.media.video import frame_at

        return frame_at(path, span.start_s if span else 0.0, side_px)
    if modality.is_plugged:
        return plugged_picture(modality, open_media(path, DecodeSettings().only(modality)).samples)
    if modality is not Modality.IMAGE:
        return None
    settings = replace(DecodeSettings(), image_max_side_px=side_px, image_max_frames=1)
    samples = open_media(path, settings).samples
    return next((sample.pixels for sample in samples if isinstance(sample, ImageSample)), None)


def plugged_picture(modality: Modality, samples: Iterable[Sample]) -> npt.NDArray[np.uint8] | None:
    """(H, W, 3) of the first sample of a plugged-in modality, None when its plug shows nothing."""
    preview = plug_of(modality).preview
    first = next((sample for sample in samples if isinstance(sample, ArraySample)), None)
    return preview(first.values) if preview is not None and first is not None else None


def _within(path: Path, start_s: float, end_s: float) -> Iterator[FloatArray]:
    at = 0
    for rate_hz, wave in in_sequence(open_media(path, _SOUND).samples):
        first, last = round(start_s * rate_hz), round(end_s * rate_hz)
        yield wave[max(0, first - at) : max(0, last - at)]
        at += len(wave)
        if at >= last:
            return

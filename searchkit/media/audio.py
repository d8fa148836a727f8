"""Sounds: a file becomes mono windows at one rate, streamed; knows no encoder.

libsndfile reads what it can; FFmpeg reads the rest, and the sound tracks of videos.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
import soxr

from searchkit.errors import DecodeError
from searchkit.media.decoded import Facts
from searchkit.media.ffmpeg import Damage, check_duration, duration_s, open_container, tag_facts
from searchkit.media.files import check_whole, decoding, open_regular, printable
from searchkit.media.magic import binary_mime
from searchkit.media.settings import DecodeSettings
from searchkit.media.windows import overlapping_windows
from searchkit.types import AudioSample, FloatArray, Span

__all__ = ["audio_facts", "audio_samples", "sound_track_samples"]

_BLOCK_S = 1.0
_UNKNOWN_FRAMES = 1 << 60


@dataclass(frozen=True)
class _Track:
    """An open sound: ``blocks`` are mono float32, (n,) each."""

    rate_hz: int
    channels: int
    announced_s: float | None
    offset_s: float
    tags: dict[str, Any]
    blocks: Iterator[FloatArray]


def audio_facts(path: Path, settings: DecodeSettings) -> Facts:
    """What the header of a sound says.

    Raises:
        DecodeError: it is no sound that can be read, or plays longer than ``settings.max_seconds``.
    """
    with decoding(path, "sound"), _open_sound(path) as track:
        check_duration(path, track.announced_s, settings.max_seconds)
        return Facts(
            duration_s=track.announced_s, rate_hz=track.rate_hz, channels=track.channels, **track.tags
        )


def audio_samples(path: Path, settings: DecodeSettings) -> Iterator[AudioSample]:
    """The windows of a sound, mono at ``settings.audio_rate_hz``.

    A sound no longer than a window is one sample without a span; a longer one gives overlapping windows.

    Raises:
        DecodeError: the sound is damaged, empty, too long, or holds values that are not finite.
    """
    with decoding(path, "sound"), _open_sound(path) as track:
        yield from _samples(path, track, settings, whole_has_span=False)


def sound_track_samples(path: Path, settings: DecodeSettings) -> Iterator[AudioSample]:
    """The windows of a video's sound track, each with its span on the video's clock.

    Raises:
        DecodeError: as ``audio_samples``.
    """
    with decoding(path, "sound track"), _open_with_ffmpeg(path) as track:
        yield from _samples(path, track, settings, whole_has_span=True)


def _samples(
    path: Path, track: _Track, settings: DecodeSettings, *, whole_has_span: bool
) -> Iterator[AudioSample]:
    check_duration(path, track.announced_s, settings.max_seconds)
    rate_hz = settings.audio_rate_hz
    window, overlap = round(settings.audio_window_s * rate_hz), round(settings.audio_overlap_s * rate_hz)
    blocks = _resampled(_checked(path, track, settings.max_seconds), track.rate_hz, rate_hz)
    empty = True
    for first, waveform in overlapping_windows(blocks, window, overlap):
        empty = False
        if first is None and not whole_has_span:
            yield AudioSample(waveform, rate_hz)
        else:
            start_s = track.offset_s + (first or 0) / rate_hz
            yield AudioSample(waveform, rate_hz, Span(start_s, start_s + len(waveform) / rate_hz))
    if empty and not whole_has_span:
        raise DecodeError(path, "it holds no sound (zero samples)")


def _checked(path: Path, track: _Track, max_seconds: float) -> Iterator[FloatArray]:
    """The track's blocks, as long as they are finite and not too many."""
    count = 0
    for block in track.blocks:
        if not np.isfinite(block).all():
            at_s = (count + int(np.argmin(np.isfinite(block)))) / track.rate_hz
            raise DecodeError(path, f"it holds values that are no numbers (NaN or infinity) at {at_s:.2f} s")
        count += len(block)
        check_duration(path, count / track.rate_hz, max_seconds)
        yield block


def _resampled(blocks: Iterator[FloatArray], from_hz: int, to_hz: int) -> Iterator[FloatArray]:
    if from_hz == to_hz:
        yield from blocks
        return
    # Chunk by chunk soxr gives the very samples that it gives for the whole.
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    read = given = 0
    for block in blocks:
        read += len(block)
        resampled = stream.resample_chunk(block)
        given += len(resampled)
        yield resampled
    last = stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)
    # As librosa does: a last sample that is only begun counts, as a zero.
    yield np.pad(last, (0, max(0, math.ceil(read * (to_hz / from_hz)) - given - len(last))))


@contextmanager
def _open_sound(path: Path) -> Iterator[_Track]:
    with open_regular(path) as file:
        check_whole(path, file)
        sound = _open_with_soundfile(file)
        if sound is not None:
            with sound:
                yield _soundfile_track(path, sound)
            return
    with _open_with_ffmpeg(path) as track:
        yield track


def _open_with_soundfile(file: BinaryIO) -> Any | None:
    """The sound as libsndfile opens it, or None for what FFmpeg should read."""
    # By descriptor throughout, so that libsndfile starts at the first byte, and goes by content, not name.
    descriptor = file.fileno()
    head = os.read(descriptor, 12)
    os.lseek(descriptor, 0, os.SEEK_SET)
    # The MP3 decoder inside libsndfile writes its complaints to the terminal.
    if binary_mime(head) == ("audio", "audio/mpeg"):
        return None
    try:
        sound = soundfile.SoundFile(descriptor, closefd=False)
    except (soundfile.LibsndfileError, TypeError):
        return None
    if sound.subtype.startswith("MPEG"):
        sound.close()
        return None
    return sound


def _soundfile_track(path: Path, sound: Any) -> _Track:
    if sound.samplerate < 1:
        raise DecodeError(path, f"its header gives a sample rate of {sound.samplerate} Hz")
    known = 0 <= sound.frames < _UNKNOWN_FRAMES

    def blocks() -> Iterator[FloatArray]:
        count = max(1, round(_BLOCK_S * sound.samplerate))
        while len(block := sound.read(count, dtype="float32", always_2d=True)):
            yield block.mean(axis=1)

    title = printable(sound.title or "").strip()
    return _Track(
        rate_hz=sound.samplerate,
        channels=sound.channels,
        announced_s=sound.frames / sound.samplerate if known else None,
        offset_s=0.0,
        tags={"title": title} if title else {},
        blocks=blocks(),
    )


@contextmanager
def _open_with_ffmpeg(path: Path) -> Iterator[_Track]:
    with open_container(path) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None or stream.codec_context is None:
            raise DecodeError(path, "it holds no sound that can be decoded")
        damage = Damage(path, "sound")
        frames = (frame for packet in container.demux(stream) for frame in damage.decode(packet))
        first = next(frames, None)
        if first is None:
            damage.check()
            yield _Track(1, 1, 0.0, 0.0, {}, iter(()))
            return
        zero_s = (container.start_time or 0) / av.time_base
        offset_s = max(0.0, first.time - zero_s) if first.time is not None else 0.0

        def blocks() -> Iterator[FloatArray]:
            for frame in _gathered(itertools.chain([first], frames)):
                if frame.sample_rate != first.sample_rate:
                    raise DecodeError(path, "its sample rate changes on the way")
                yield _mono(path, frame)
            damage.check()

        yield _Track(
            rate_hz=first.sample_rate,
            channels=first.layout.nb_channels,
            announced_s=duration_s(container),
            offset_s=offset_s,
            tags=tag_facts({**stream.metadata, **container.metadata}),
            blocks=blocks(),
        )


def _gathered(frames: Iterable[Any]) -> Iterator[Any]:
    """Frames of about a second, made of those of some milliseconds, which cost much more to handle."""
    for _, alike in itertools.groupby(frames, lambda f: (f.sample_rate, f.format.name, f.layout.name)):
        fifo = av.AudioFifo()
        for frame in alike:
            # Gaps between frames are of no matter here.
            frame.pts = None
            fifo.write(frame)
            if fifo.samples >= frame.sample_rate * _BLOCK_S:
                yield fifo.read()
        if fifo.samples:
            yield fifo.read()


# What one step of an integer sample format is worth, and where its silence lies.
_SCALES = {"u8": (1 / 128, 128), "s16": (1 / 32768, 0), "s32": (1 / 2147483648, 0)}


def _mono(path: Path, frame: Any) -> FloatArray:
    """A frame as mono float32 (n,), nominally in [-1, 1]."""
    name: str = frame.format.name.removesuffix("p")
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if name in _SCALES:
        step, silence = _SCALES[name]
        samples = (samples.astype(np.float32) - np.float32(silence)) * np.float32(step)
    elif name not in ("flt", "dbl"):
        raise DecodeError(path, f"its samples are of a format that searchkit does not know ({name})")
    mono: FloatArray = samples.mean(axis=0, dtype=np.float32)
    return mono

"""Videos: a file becomes frames over time, then the windows of its sound track (FFmpeg)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from searchkit.errors import DecodeError
from searchkit.media.audio import sound_track_samples
from searchkit.media.decoded import Facts
from searchkit.media.ffmpeg import (
    Damage,
    check_duration,
    duration_s,
    open_container,
    picture_stream,
    tag_facts,
)
from searchkit.media.files import decoding
from searchkit.media.frames import FrameChooser
from searchkit.media.settings import DecodeSettings
from searchkit.types import AudioSample, ImageSample, Span

__all__ = ["frame_at", "video_facts", "video_samples"]

# Up to here every frame is decoded, in order, when there are too few key frames to do with those.
# Times are rounded to the frames' own clock.
_EARLY_S = 0.01
_SHORT_S = 20.0
_THUMBNAIL_PX = 16


def video_facts(path: Path, settings: DecodeSettings) -> Facts:
    """What the header of a video says; size as shown, after rotation.

    Raises:
        DecodeError: it is no video that can be read, or beyond a limit.
    """
    with decoding(path, "video"), open_container(path) as container:
        stream = _pictures(path, container)
        first = next(_decoded(path, container, stream), None)
        if first is None:
            raise DecodeError(path, "the video is damaged: none of its pictures can be decoded")
        width_px, height_px = _shown_size(first, stream)
        if width_px * height_px > settings.max_pixels:
            raise DecodeError(
                path,
                f"its pictures have {width_px * height_px / 1e6:,.0f} million pixels, "
                f"more than the limit of {settings.max_pixels / 1e6:,.0f} million",
                hint="raise max_pixels to read it",
            )
        if _turns(first) % 2:
            width_px, height_px = height_px, width_px
        sound = next(iter(container.streams.audio), None)
        seconds = _length_s(path, container, stream)
        check_duration(path, seconds, settings.max_seconds)
        return Facts(
            width_px=width_px,
            height_px=height_px,
            duration_s=seconds,
            rate_hz=sound.codec_context.sample_rate or None if sound and sound.codec_context else None,
            channels=sound.codec_context.channels or None if sound and sound.codec_context else None,
            **tag_facts({**stream.metadata, **container.metadata}),
        )


def video_samples(path: Path, settings: DecodeSettings) -> Iterator[ImageSample | AudioSample]:
    """Frames whose spans tile [0, duration), each standing for the time until the next; then the sound.

    Raises:
        DecodeError: the video is damaged, cut off or beyond a limit.
    """
    with decoding(path, "video"):
        with open_container(path) as container:
            stream = _pictures(path, container)
            seconds = _length_s(path, container, stream)
            check_duration(path, seconds, settings.max_seconds)
            chooser = FrameChooser(seconds, settings)
            has_sound = any(track.codec_context is not None for track in container.streams.audio)
            yield from _frame_samples(path, container, stream, chooser, settings)
        if has_sound:
            yield from sound_track_samples(path, settings)


def frame_at(path: Path, time_s: float, side_px: int | None = None) -> npt.NDArray[np.uint8]:
    """The frame that is shown at a time, upright: (H, W, 3), its shorter side at most ``side_px``.

    It seeks, so that a time far into a film costs no more than one at its start.

    Raises:
        DecodeError: the video is damaged, or no video.
    """
    with decoding(path, "video"), open_container(path) as container:
        stream = _pictures(path, container)
        container.seek(int((time_s + _zero_s(container)) / stream.time_base), stream=stream)
        shown = None
        for frame in _decoded(path, container, stream):
            shown = frame
            if _time_s(frame, container) >= time_s - _EARLY_S:
                break
        if shown is None:
            raise DecodeError(path, f"the video has no picture at {time_s:g} s")
        return _shown(shown, stream, side_px)


def _pictures(path: Path, container: InputContainer) -> Any:
    stream = picture_stream(container)
    if stream is None:
        raise DecodeError(path, "it holds no pictures that can be decoded")
    stream.thread_type = "AUTO"
    return stream


def _length_s(path: Path, container: InputContainer, stream: Any) -> float:
    """How long it plays; a recording without a length in its header is read through once."""
    seconds = duration_s(container)
    if seconds is not None:
        return seconds
    base = stream.time_base
    ends = [
        float(((packet.pts or 0) + (packet.duration or 0)) * base) - _zero_s(container)
        for packet in container.demux(stream)
        if packet.pts is not None
    ]
    container.seek(0)
    if not ends or max(ends) <= 0:
        raise DecodeError(path, "it holds no pictures with a time")
    return max(ends)


def _zero_s(container: InputContainer) -> float:
    return (container.start_time or 0) / av.time_base


def _frame_samples(
    path: Path, container: InputContainer, stream: Any, chooser: FrameChooser, settings: DecodeSettings
) -> Iterator[ImageSample]:
    """The frames kept, each when the next one is known."""
    if chooser.duration_s <= _SHORT_S and _lacks_key_frames(container, stream, chooser):
        candidates = _candidates_in_order(path, container, stream, chooser)
    else:
        candidates = _candidates_by_seeking(path, container, stream, chooser)
    start_s, held, black, last_s = 0.0, None, False, 0.0
    for time_s, frame in candidates:
        last_s = max(last_s, time_s)
        if not chooser.keep(time_s, _rgb(frame, _THUMBNAIL_PX, _THUMBNAIL_PX)):
            continue
        if held is not None and not black and time_s > start_s:
            yield ImageSample(held, Span(start_s, time_s))
            start_s = time_s
        held, black = _shown(frame, stream, settings.image_max_side_px), chooser.is_black()
    if held is None:
        raise DecodeError(path, "the video is damaged: none of its pictures can be decoded")
    yield ImageSample(held, Span(start_s, max(chooser.duration_s, last_s + 0.001)))


def _lacks_key_frames(container: InputContainer, stream: Any, chooser: FrameChooser) -> bool:
    keys = sum(bool(packet.is_keyframe) for packet in container.demux(stream))
    container.seek(0)
    return keys < chooser.duration_s / chooser.interval_s


def _decoded(path: Path, container: InputContainer, stream: Any) -> Iterator[Any]:
    damage = Damage(path, "video")
    for packet in container.demux(stream):
        yield from damage.decode(packet)
    damage.check()


def _time_s(frame: Any, container: InputContainer) -> float:
    return max(0.0, (frame.time or 0.0) - _zero_s(container))


def _candidates_in_order(
    path: Path, container: InputContainer, stream: Any, chooser: FrameChooser
) -> Iterator[tuple[float, Any]]:
    next_s = 0.0
    for frame in _decoded(path, container, stream):
        time_s = _time_s(frame, container)
        if time_s >= next_s - 0.001:
            yield time_s, frame
            next_s = (time_s // chooser.step_s + 1) * chooser.step_s


def _candidates_by_seeking(
    path: Path, container: InputContainer, stream: Any, chooser: FrameChooser
) -> Iterator[tuple[float, Any]]:
    """Key frames near a grid of times; other frames only where the floor wants one."""
    last_key_pts, last_s = None, -1.0
    for step in range(int(chooser.duration_s / chooser.step_s) + 1):
        target_s = step * chooser.step_s
        if target_s <= last_s:
            continue
        container.seek(int((target_s + _zero_s(container)) / stream.time_base), stream=stream)
        packets = container.demux(stream)
        first = next((packet for packet in packets if packet.pts is not None), None)
        if first is None:
            break
        is_new = first.pts != last_key_pts
        if not is_new and not chooser.due(target_s):
            continue
        last_key_pts = first.pts
        damage = Damage(path, "video")
        following = itertools.chain([first], packets)
        for frame in (frame for packet in following for frame in damage.decode(packet)):
            time_s = _time_s(frame, container)
            if time_s > last_s and (is_new or time_s >= target_s):
                yield time_s, frame
                last_s = time_s
                break
        damage.check()


def _shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Width and height with square pixels, before rotation."""
    ratio = stream.sample_aspect_ratio
    width_px = round(frame.width * ratio) if ratio and 0.2 < ratio < 5 else frame.width
    return width_px, frame.height


def _turns(frame: Any) -> int:
    """Quarter turns anticlockwise that make the frame upright."""
    return round(int(frame.rotation) / 90) % 4


def _shown(frame: Any, stream: Any, side_px: int | None) -> npt.NDArray[np.uint8]:
    """The frame upright with square pixels, its shorter side at most ``side_px``."""
    width_px, height_px = _shown_size(frame, stream)
    if side_px is not None and (ratio := side_px / min(width_px, height_px)) < 1:
        width_px, height_px = round(width_px * ratio), round(height_px * ratio)
    return np.ascontiguousarray(np.rot90(_rgb(frame, width_px, height_px), _turns(frame)))


def _rgb(frame: Any, width_px: int, height_px: int) -> npt.NDArray[np.uint8]:
    pixels: npt.NDArray[np.uint8] = frame.reformat(
        width=width_px, height=height_px, format="rgb24", interpolation="AREA"
    ).to_ndarray()
    return pixels

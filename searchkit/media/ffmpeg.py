"""Opens files through FFmpeg (PyAV), safely and quietly; knows nothing of samples."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from searchkit.errors import DecodeError
from searchkit.media.files import check_whole, decoding, open_regular, printable

__all__ = [
    "Damage",
    "check_duration",
    "duration_s",
    "has_pictures",
    "open_container",
    "picture_stream",
    "tag_facts",
]

# Playlists are left out on purpose: FFmpeg would open whatever files and addresses they name.
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dv,eac3,flac,flv,h264,hevc,iff,ivf,live_flv,m4v,matroska,mov,mp3,"
    "mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,truehd,tta,voc,w64,wav,webm,wv,yuv4mpegpipe"
)
# ISO 6709, as phones write it: "+37.3861-122.0839+010.000/".
_LOCATION = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a file with FFmpeg; what goes wrong inside becomes DecodeError."""
    with open_regular(path) as file:
        check_whole(path, file)
    with decoding(path, "file"):
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        # The prefix keeps FFmpeg from reading a name such as "concat:a|b" as an address.
        name = "file:" + os.path.abspath(path)  # noqa: PTH100 - keeps links and odd bytes as they are
        with av.open(name, container_options=options, metadata_errors="replace") as container:
            yield container


def picture_stream(container: InputContainer) -> Any | None:
    """The stream that shows moving pictures, if any; the cover picture of a song is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def has_pictures(path: Path) -> bool:
    """Whether a container holds moving pictures, and not sound alone.

    Raises:
        DecodeError: it cannot be opened, or has neither.
    """
    with open_container(path) as container:
        if picture_stream(container) is not None:
            return True
        if not container.streams.audio:
            raise DecodeError(path, "it has neither pictures nor sound")
        return False


def duration_s(container: InputContainer) -> float | None:
    """How long the container says it plays, in seconds."""
    return container.duration / av.time_base if container.duration and container.duration > 0 else None


def check_duration(path: Path, seconds: float | None, limit_s: float) -> None:
    """Refuse what plays too long.

    Raises:
        DecodeError: it plays longer than the limit.
    """
    if seconds is not None and seconds > limit_s:
        plays, limit = (timedelta(seconds=math.ceil(length)) for length in (seconds, limit_s))
        raise DecodeError(
            path,
            f"it plays for {plays}, longer than the limit of {limit}",
            hint="raise max_seconds to read it",
        )


def tag_facts(tags: Mapping[str, str]) -> dict[str, Any]:
    """Title, time and place from the tags of a container, as keywords for ``Facts``."""
    lowered = {name.lower(): value for name, value in tags.items()}
    facts: dict[str, Any] = {}
    if title := printable(lowered.get("title", "")).strip():
        facts["title"] = title
    taken_at = lowered.get("com.apple.quicktime.creationdate") or lowered.get("creation_time", "")
    # Cameras without a clock write the epoch of the format.
    if re.match(r"(?!19[07]0|1904)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", taken_at):
        facts["taken_at"] = re.sub(r"\.0+(?=Z|$)", "", taken_at).replace("Z", "+00:00")
    place = lowered.get("com.apple.quicktime.location.iso6709") or lowered.get("location", "")
    if match := _LOCATION.match(place):
        latitude, longitude = float(match[1]), float(match[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            facts.update(latitude=latitude, longitude=longitude)
    return facts


class Damage:
    """Counts packets that could not be decoded: a few are a scratch, many are a broken file."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind
        self._bad = self._good = 0

    def decode(self, packet: Any) -> list[Any]:
        """The packet's frames, or none when it is damaged."""
        try:
            frames: list[Any] = packet.decode()
        except av.error.InvalidDataError:
            self._bad += 1
            return []
        self._good += 1
        return frames

    def check(self) -> None:
        """Judge what was counted.

        Raises:
            DecodeError: more than a scratch is damaged.
        """
        if self._bad > max(2, 0.05 * self._good):
            total = self._bad + self._good
            raise DecodeError(self._path, f"the {self._kind} is damaged ({self._bad} of {total} packets)")

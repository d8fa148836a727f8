"""How files are decoded: everything that changes a sample, and the limits that a file must keep."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace

from searchkit.modality import Modality, plug_of

__all__ = ["DecodeSettings"]

# Raised when decoding itself changes, so that samples of old and new code are not mixed in one space.
_REVISION = 1


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """What decoding makes of a file, and what it refuses.

    Attributes:
        audio_rate_hz: rate that every sound is resampled to.
        audio_window_s: length of a window of a long sound; shorter sounds are one whole sample.
        audio_overlap_s: what two neighbouring windows share.
        video_frame_interval_s: a video gives a frame at least this often (the floor) ...
        video_min_frames: ... and at least so many, if it is that long at all ...
        video_max_frames: ... but never more than this (the ceiling).
        video_scene_threshold: mean change of colour, 0 to 1, that makes a new scene, and so a frame more.
        passage_chars: length that a passage of text may have.
        passage_overlap_chars: what two neighbouring passages of a long text share, at most.
        image_max_side_px: bigger pictures are reduced by whole factors, while both sides stay at least this
            long, since encoders look at less; None decodes at full size.
        image_max_frames: how many frames an animated picture gives, spread over time.
        max_pixels: limit for one picture or frame (Pillow's own limit holds besides).
        max_seconds: limit for sounds and videos.
        max_bytes: limit for pictures and documents, which are read whole.
        max_text_bytes: limit for plain texts.
        plugs: modalities whose plugs may claim a file before anything else does, since the encoder embeds
            them; under any other encoder the same file is what it was before, such as a grey picture.
    """

    audio_rate_hz: int = 16_000
    audio_window_s: float = 15.0
    audio_overlap_s: float = 5.0
    video_frame_interval_s: float = 5.0
    video_min_frames: int = 4
    video_max_frames: int = 128
    video_scene_threshold: float = 0.1
    passage_chars: int = 600
    passage_overlap_chars: int = 100
    image_max_side_px: int | None = 512
    image_max_frames: int = 8
    max_pixels: int = 178_000_000
    max_seconds: float = 6 * 3600.0
    max_bytes: int = 1 << 30
    max_text_bytes: int = 16 << 20
    plugs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name == "plugs":
                object.__setattr__(self, name, tuple(value))
                continue
            if value is None and name == "image_max_side_px":
                continue
            may_be_zero = name in ("audio_overlap_s", "passage_overlap_chars", "video_scene_threshold")
            if not math.isfinite(value) or value < 0 or (value == 0 and not may_be_zero):
                raise ValueError(f"{name} must be {'>= 0' if may_be_zero else '> 0'}, got {value}")
        if self.audio_overlap_s >= self.audio_window_s:
            raise ValueError(
                f"audio_overlap_s must be below audio_window_s, "
                f"got {self.audio_overlap_s} and {self.audio_window_s}"
            )
        if self.passage_overlap_chars >= self.passage_chars:
            raise ValueError(
                f"passage_overlap_chars must be below passage_chars, "
                f"got {self.passage_overlap_chars} and {self.passage_chars}"
            )
        if self.video_min_frames > self.video_max_frames:
            raise ValueError(
                f"video_min_frames must not exceed video_max_frames, "
                f"got {self.video_min_frames} and {self.video_max_frames}"
            )

    def only(self, modality: Modality) -> DecodeSettings:
        """The same for a file that is said to be of one modality: only its own plug may claim it."""
        return replace(self, plugs=(modality.value,) if modality.is_plugged else ())

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change when samples, and so vectors, would."""
        values = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name not in ("max_pixels", "max_seconds", "max_bytes", "max_text_bytes", "plugs")
        ]
        values += [f"{name}={plug_of(name).revision}" for name in self.plugs]
        return hashlib.sha256("\x1f".join([str(_REVISION), *values]).encode()).hexdigest()[:16]

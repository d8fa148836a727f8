"""What decoding gives back: the kind of a file, facts about it, and its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from searchkit.types import Modality, Sample

__all__ = ["Decoded", "Facts", "MediaType"]


@dataclass(frozen=True, slots=True)
class MediaType:
    """What a file holds, by its content.

    Attributes:
        modality: what it is to the person who searches.
        mime: its media type, such as "image/jpeg".
    """

    modality: Modality
    mime: str

    def __str__(self) -> str:
        return self.mime

    @classmethod
    def from_dict(cls, known: Mapping[str, str]) -> MediaType:
        """What ``dataclasses.asdict`` took apart."""
        return cls(Modality(known["modality"]), known["mime"])


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says about itself; None is "not known".

    Attributes:
        width_px: width as shown, after rotation.
        height_px: height as shown, after rotation.
        duration_s: how long it plays.
        rate_hz: sample rate of the sound, before resampling.
        channels: channels of the sound, before mixing.
        frames: pictures in an animation.
        taken_at: when it was taken, ISO 8601, with an offset where the file has one.
        latitude: degrees north.
        longitude: degrees east.
        title: its title.
    """

    width_px: int | None = None
    height_px: int | None = None
    duration_s: float | None = None
    rate_hz: int | None = None
    channels: int | None = None
    frames: int | None = None
    taken_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    title: str | None = None

    def to_dict(self) -> dict[str, int | float | str]:
        """What is known, ready for JSON."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def from_dict(cls, known: Mapping[str, int | float | str]) -> Facts:
        """The facts that ``to_dict`` gave; names of a later version are ignored."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in known.items() if name in names})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One file, opened.

    Attributes:
        media_type: what it holds.
        facts: what it says about itself.
        samples: decoded while they are asked for, once, in order; asking raises DecodeError when the file
            turns out to be damaged. Nothing is open before the first one is asked for, and after the last.
    """

    media_type: MediaType
    facts: Facts
    samples: Iterator[Sample]

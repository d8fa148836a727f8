"""From a file that a query names to samples, decoded as an encoder wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from searchkit.config import Settings
from searchkit.errors import QueryError, UsageError
from searchkit.media import DecodeSettings, open_media
from searchkit.types import Encoder, Modality, Sample

__all__ = ["decode_settings_for", "load_samples"]


def decode_settings_for(encoder: Encoder, settings: Settings) -> DecodeSettings:
    """How files are decoded for an encoder: its sample rate, then what ``[decode]`` says.

    Raises:
        UsageError: a ``[decode]`` setting is unknown or out of range.
    """
    plugs = tuple(sorted(modality for modality in encoder.modalities if modality.is_plugged))
    values = {"audio_rate_hz": encoder.audio_rate_hz, **settings.decode, "plugs": plugs}
    try:
        return DecodeSettings(**values)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(f"a decoding setting does not fit: {error}") from error


def load_samples(path: Path, modality: Modality, settings: DecodeSettings) -> Sequence[Sample]:
    """All samples of a file that must be of a modality; a plug claims only what is asked for as its own.

    Raises:
        QueryError: it is of another one.
        DecodeError: it cannot be read.
    """
    decoded = open_media(path, settings.only(modality))
    found = decoded.media_type.modality
    if found != modality:
        flag = f"{found.value}:{path}" if found.is_plugged else f"--{found.value} {path}"
        instead = f'--text "$(cat {path})"' if found is Modality.TEXT else flag
        raise QueryError(f"{path} holds {found.value}, not {modality.value}", hint=f"use {instead}")
    return list(decoded.samples)

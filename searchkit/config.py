"""Settings: defaults < the library's ``library.toml`` < ``SEARCHKIT_*`` variables < what a call says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from searchkit.durable import write_text
from searchkit.errors import LibraryError, UsageError

__all__ = ["SETTINGS_FILE", "Settings", "default_library", "load_settings", "models_folder", "save_settings"]

SETTINGS_FILE = "library.toml"

_HEADER = "# Settings of this searchkit library; environment variables SEARCHKIT_* and flags come first.\n"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default.

    Attributes:
        model: name of the encoder (``searchkit models list``).
        model_dir: where the encoder's files lie; None for the place where searchkit keeps them.
        store: where vectors live: ``faiss``, ``qdrant://host:port``, ``qdrant+local:FOLDER``.
        centring: subtract each modality's mean before comparing: "auto" (where it was measured to help for
            the encoder), "on" or "off".
        jobs: decoding threads; 0 for one per core.
        batch_size: samples that are encoded together.
        audio_window_s: longer sounds are cut into windows of this length.
        audio_overlap_s: by how much neighbouring windows overlap.
        video_frame_interval_s: seconds between the frames of a video.
        video_max_frames: frames of one video at most.
        passage_chars: longer texts are cut into passages of about this length.
        max_pixels: larger pictures are refused.
        max_seconds: longer sounds and videos are refused.
        max_bytes: larger files are refused.
    """

    model: str = "mini"
    model_dir: Path | None = None
    store: str = "faiss"
    centring: str = "auto"
    jobs: int = 0
    batch_size: int = 16
    audio_window_s: float = 15.0
    audio_overlap_s: float = 5.0
    video_frame_interval_s: float = 2.0
    video_max_frames: int = 256
    passage_chars: int = 1000
    max_pixels: int = 300_000_000
    max_seconds: float = 12 * 3600.0
    max_bytes: int = 16 << 30

    def __post_init__(self) -> None:
        if self.centring not in ("auto", "on", "off"):
            raise UsageError(f"centring must be auto, on or off, not {self.centring!r}")
        if self.jobs < 0 or self.batch_size < 1:
            raise UsageError(f"jobs must be >= 0 and batch_size >= 1, got {self.jobs} and {self.batch_size}")
        if not 0 <= self.audio_overlap_s < self.audio_window_s:
            raise UsageError(
                f"audio_overlap_s must be at least 0 and below audio_window_s, got {self.audio_overlap_s} "
                f"and {self.audio_window_s}"
            )
        for name in ("video_frame_interval_s", "video_max_frames", "passage_chars", "max_pixels"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")


def default_library() -> Path:
    """``SEARCHKIT_LIBRARY``, or a folder in the user's data folder."""
    chosen = os.environ.get("SEARCHKIT_LIBRARY")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("searchkit", appauthor=False)) / "library"


def models_folder() -> Path:
    """Where downloaded and converted models lie: ``SEARCHKIT_MODELS``, or the user's data folder."""
    chosen = os.environ.get("SEARCHKIT_MODELS")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("searchkit", appauthor=False)) / "models"


def load_settings(library: Path, given: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force for a library's folder.

    Args:
        library: the library's folder; it need not exist yet.
        given: what the call says; None values mean "not said".

    Raises:
        LibraryError: ``library.toml`` does not parse or names an unknown setting.
        UsageError: a value is not of its setting's kind.
    """
    settings = Settings()
    path = library / SETTINGS_FILE
    if path.exists():
        settings = _apply(settings, _read(path), str(path))
    variables = {
        field.name: os.environ[f"SEARCHKIT_{field.name.upper()}"]
        for field in fields(Settings)
        if f"SEARCHKIT_{field.name.upper()}" in os.environ
    }
    settings = _apply(settings, variables, "the environment")
    return _apply(settings, {k: v for k, v in (given or {}).items() if v is not None}, "the call")


def save_settings(library: Path, settings: Settings) -> None:
    """Write what differs from the defaults, and always model and store, to ``library.toml``."""
    lines = [_HEADER]
    default = Settings()
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if value is None or (value == getattr(default, field.name) and field.name not in ("model", "store")):
            continue
        lines.append(f"{field.name} = {_toml(value)}\n")
    write_text(library / SETTINGS_FILE, "".join(lines))


def _toml(value: str | int | float | Path) -> str:
    if isinstance(value, int | float):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LibraryError(f"{path} does not parse: {error}", hint=f"mend or delete {path}") from error


def _apply(settings: Settings, values: Mapping[str, Any], source: str) -> Settings:
    kinds = get_type_hints(Settings)
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in kinds:
            raise LibraryError(
                f"{source} sets {name!r}, which is not a setting",
                hint=f"settings: {', '.join(sorted(kinds))}",
            )
        try:
            changes[name] = _coerce(value, kinds[name])
        except (TypeError, ValueError) as error:
            raise UsageError(f"{source} sets {name} to {value!r}: {error}") from error
    return replace(settings, **changes)


def _coerce(value: Any, kind: Any) -> Any:
    if kind == Path | None:
        return Path(value).expanduser().absolute()
    if isinstance(value, bool):
        raise TypeError("a truth value does not fit")
    return kind(value)

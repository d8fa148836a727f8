"""Settings: defaults < the library's ``library.toml`` < ``SEARCHKIT_*`` variables < what a call says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from searchkit.durable import write_text
from searchkit.errors import LibraryError, UsageError, reason_of

__all__ = [
    "SETTINGS_FILE",
    "Settings",
    "default_library",
    "load_settings",
    "models_folder",
    "own_settings",
    "save_new_settings",
    "save_settings",
]

SETTINGS_FILE = "library.toml"

# How one run works, and nothing of what the library is: kept only where a person writes it into the file.
_OF_A_RUN = ("jobs", "batch_size", "decoder", "decode_timeout_s", "decode_memory_mb", "lease_s")
_HEADER = "# Settings of this searchkit library; environment variables SEARCHKIT_* and flags come first.\n"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default.

    Attributes:
        library_id: tells libraries apart that keep their vectors on one server; made with the library.
        model: name of the encoder (``searchkit models list``), or the path of a model's folder.
        model_dir: where the encoder's files lie; None for the place where searchkit keeps them.
        store: where vectors live: ``faiss``, ``qdrant://host:port``, ``qdrant+local:FOLDER``.
        catalog: where the catalog is: "" for a file in the library's folder, or ``postgresql://...``.
        centring: subtract each modality's mean before comparing: "on", "off", or "auto", where it was
            measured to help (benchmarks/corrections.py: for ``mini`` it does not, so that this is off).
        jobs: files that are decoded at once; 0 for one per core. This and the other settings of how a run
            works hold for the call that says them; library.toml keeps what a person writes into it.
        batch_size: samples that are encoded together.
        exclude: files to pass over when indexing: patterns as in .gitignore, relative to each indexed folder.
        decoder: "processes" (a file that crashes a decoder, or hangs it, costs that file) or "threads".
        decode_timeout_s: how long a decoding process may take for one sample.
        decode_memory_mb: how much memory a decoding process may use, in MiB.
        lease_s: after so many seconds without a sign of life others take over a worker's files.
        decode: how files are decoded: values for the fields of ``searchkit.media.DecodeSettings``, the table
            ``[decode]`` of library.toml, ``SEARCHKIT_DECODE_*`` in the environment.
    """

    library_id: str = ""
    model: str = "mini"
    model_dir: Path | None = None
    store: str = "faiss"
    catalog: str = ""
    centring: str = "auto"
    jobs: int = 0
    batch_size: int = 16
    exclude: tuple[str, ...] = ()
    decoder: str = "processes"
    decode_timeout_s: float = 60.0
    decode_memory_mb: int = 4096
    lease_s: float = 120.0
    decode: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.centring not in ("auto", "on", "off"):
            raise UsageError(f"centring must be auto, on or off, not {self.centring!r}")
        if self.jobs < 0:
            raise UsageError(f"jobs must be 1 or more, or 0 for one per core, got {self.jobs}")
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be 1 or more, got {self.batch_size}")
        if self.decoder not in ("processes", "threads"):
            raise UsageError(f"decoder must be processes or threads, not {self.decoder!r}")
        for name in ("decode_timeout_s", "decode_memory_mb", "lease_s"):
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
    settings = _apply(own_settings(library), _from_environment(), "the environment")
    return _apply(settings, {k: v for k, v in (given or {}).items() if v is not None}, "the call")


def own_settings(library: Path) -> Settings:
    """What a library's ``library.toml`` says, whatever the environment does.

    Raises:
        LibraryError: it does not parse or names an unknown setting.
        UsageError: a value is not of its setting's kind.
    """
    path = library / SETTINGS_FILE
    return _apply(Settings(), _read(path), str(path)) if path.exists() else Settings()


def save_settings(library: Path, settings: Settings) -> None:
    """Write what differs from the defaults, and always model and store, to ``library.toml``."""
    lines = [_HEADER]
    default = Settings()
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        same = value is None or value == getattr(default, setting.name)
        if setting.name != "decode" and (not same or setting.name in ("model", "store")):
            lines.append(f"{setting.name} = {_toml(value)}\n")
    if settings.decode:
        lines.append("\n[decode]\n")
        lines.extend(f"{name} = {_toml(value)}\n" for name, value in settings.decode.items())
    write_text(library / SETTINGS_FILE, "".join(lines))


def save_new_settings(library: Path, settings: Settings) -> None:
    """As ``save_settings``, for a library that is being made, without how the run works that makes it."""
    own = own_settings(library)
    save_settings(library, replace(settings, **{name: getattr(own, name) for name in _OF_A_RUN}))


def _from_environment() -> dict[str, Any]:
    own = {f"SEARCHKIT_{setting.name.upper()}": setting.name for setting in fields(Settings)}
    values: dict[str, Any] = {
        name: os.environ[variable]
        for variable, name in own.items()
        if name != "decode" and variable in os.environ
    }
    prefix = "SEARCHKIT_DECODE_"
    decode = {
        name[len(prefix) :].lower(): text
        for name, text in os.environ.items()
        if name.startswith(prefix) and name not in own
    }
    return {**values, "decode": decode} if decode else values


def _toml(value: str | int | float | Path | tuple[str, ...]) -> str:
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(part) for part in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LibraryError(
            f"{path}: {reason_of(error)}", hint="check the permissions of the library"
        ) from error
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
            if name == "model":
                changes[name] = _model_spec(str(value))
            elif name == "decode":
                changes[name] = {**settings.decode, **{key: _number(text) for key, text in value.items()}}
            else:
                changes[name] = _coerce(value, kinds[name])
        except (TypeError, ValueError) as error:
            raise UsageError(f"{source} sets {name} to {value!r}: {error}") from error
    return replace(settings, **changes)


def _model_spec(value: str) -> str:
    """A model's name as it is, a path to its folder made absolute."""
    is_path = value.startswith((".", "~")) or os.sep in value or "/" in value
    return str(Path(value).expanduser().absolute()) if is_path else value


def _number(value: Any) -> float:
    number = float(value)
    return int(number) if number.is_integer() else number


def _coerce(value: Any, kind: Any) -> Any:
    if kind == Path | None:
        return Path(value).expanduser().absolute()
    if isinstance(value, bool):
        raise TypeError("a truth value does not fit")
    if kind == tuple[str, ...]:
        return tuple(value.splitlines()) if isinstance(value, str) else tuple(map(str, value))
    return kind(value)

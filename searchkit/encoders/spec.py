"""The table of encoders and how a model spec becomes one; it imports an encoder only when it is opened."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from searchkit.config import models_folder
from searchkit.errors import CheckpointError, DependencyMissing, EncoderError, ModelNotFound
from searchkit.types import Encoder, Modality

__all__ = ["ENCODERS", "EncoderInfo", "model_folder", "model_folders", "open_encoder", "resolve_info"]

_ALL = frozenset({Modality.TEXT, Modality.IMAGE, Modality.AUDIO})


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What is known of an encoder without loading it.

    Attributes:
        name: what ``--model`` takes.
        module: import path of a module with ``load(model_dir: Path | None) -> Encoder``, which takes
            ``options`` beside it where the model has options.
        modalities: what it embeds.
        dim: length of a vector; 0 when the checkpoint decides.
        licence: of the weights.
        summary: one line for people.
        extra: the optional dependency it needs, "" for none.
        built_in: its weights ship with searchkit.
        uses_gpu: it runs on a GPU where there is one.
        folder: where it lies, for one that is no row of the table.
        options: what may follow the name after colons, such as "one-peace:int8:fast".
    """

    name: str
    module: str
    modalities: frozenset[Modality]
    dim: int
    licence: str
    summary: str
    extra: str = ""
    built_in: bool = False
    uses_gpu: bool = False
    folder: Path | None = None
    options: tuple[str, ...] = ()


_ONE_PEACE_OPTIONS = ("float32", "bfloat16", "float16", "int8", "fast", "exact")
ENCODERS: Mapping[str, EncoderInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            EncoderInfo(
                name="mini",
                module="searchkit.encoders.mini",
                modalities=_ALL,
                dim=0,
                licence="Apache-2.0",
                summary="built in; small frozen towers bridged through text, runs on any CPU without torch",
                built_in=True,
            ),
            EncoderInfo(
                name="one-peace",
                module="searchkit.encoders.one_peace",
                modalities=_ALL,
                dim=1536,
                licence="Apache-2.0",
                summary="ONE-PEACE 4B (arXiv 2305.11172); needs a checkpoint: searchkit models pull",
                extra="one-peace",
                uses_gpu=True,
                options=_ONE_PEACE_OPTIONS,
            ),
        )
    }
)


def resolve_info(name: str) -> EncoderInfo:
    """What is known of a name of the table, of a model's folder, or of a folder where models are kept.

    Options may follow: "one-peace:int8".

    Raises:
        ModelNotFound: there is no such encoder, and the nearest name is suggested; or it lacks an option.
    """
    base, options = _split(name)
    info = _named_info(base)
    for option in options:
        if option not in info.options:
            known = f"it has {', '.join(info.options)}" if info.options else "it has none"
            raise ModelNotFound(f"the model {base!r} has no option {option!r}", hint=known)
    return info


def _split(name: str) -> tuple[str, list[str]]:
    """A model spec's name or path, and the options after it; a folder may have colons in its name."""
    if Path(name).is_dir():
        return name, []
    folder, separator, last = name.rpartition("/")
    base, *options = last.split(":")
    return f"{folder}{separator}{base}", options


def _named_info(name: str) -> EncoderInfo:
    if name in ENCODERS:
        return ENCODERS[name]
    folder = model_folder(name)
    if folder is not None:
        return _folder_info(name, folder)
    near = difflib.get_close_matches(name, ENCODERS, n=1)
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    if Path(name).is_dir() and not Path(name).is_absolute():
        suggestion = f"a folder is given with its path: ./{name}; "
    raise ModelNotFound(
        f"no model is called {name!r}", hint=f"{suggestion}`searchkit models list` shows all names"
    )


def model_folder(name: str) -> Path | None:
    """The folder that a model spec means: a path, or the name of a folder where models are kept."""
    path = Path(name)
    if path.is_absolute() or len(path.parts) > 1:
        return path if path.is_dir() else None
    kept = models_folder() / name
    return kept if kept.is_dir() else None


def model_folders() -> list[EncoderInfo]:
    """Models in the folder where models are kept, beside those of the table."""
    root = models_folder()
    found = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    named = [path for path in found if path.name not in ENCODERS and not path.name.startswith(".")]
    return [_folder_info(path.name, path) for path in named if any((path / f).is_file() for f in _KINDS)]


_KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "head.json": ("searchkit.encoders.adapted", ""),
        "config.json": ("searchkit.encoders.one_peace", "one-peace"),
        "manifest.json": ("searchkit.encoders.mini", ""),
    }
)
"""Which module opens a folder, and the extra that it needs, by the file that tells."""


def _embedded(folder: Path) -> frozenset[Modality]:
    """What a ONE-PEACE model embeds, by its configuration; empty where that is damaged."""
    from searchkit.one_peace.branches import open_model_folder

    try:
        return frozenset(map(Modality.stored, open_model_folder(folder).config.modalities))
    except (EncoderError, CheckpointError):
        return frozenset()


def _folder_info(name: str, folder: Path) -> EncoderInfo:
    for file, (module, extra) in _KINDS.items():
        if (folder / file).is_file():
            return EncoderInfo(
                name=name,
                module=module,
                modalities=_embedded(folder) if file == "config.json" else _ALL,
                dim=0,
                licence="",
                summary=f"in {folder}",
                extra=extra,
                uses_gpu=extra == "one-peace",
                folder=folder,
                options=_ONE_PEACE_OPTIONS if extra else (),
            )
    raise ModelNotFound(
        f"{folder} holds no model",
        hint="`searchkit train` and `searchkit models convert` make such folders",
    )


def open_encoder(name: str, model_dir: Path | None = None) -> Encoder:
    """Open an encoder; its branches load when they are first used.

    Args:
        name: a name of the table, or a model's folder; options may follow after colons.
        model_dir: where the files of a named one lie; None for the place where searchkit keeps them.

    Raises:
        ModelNotFound: no such encoder, or its files are missing.
        DependencyMissing: an extra is not installed.
    """
    info = resolve_info(name)
    try:
        module = importlib.import_module(info.module)
    except ModuleNotFoundError as error:
        if info.extra and error.name and not error.name.startswith("searchkit"):
            raise DependencyMissing(error.name, info.extra) from error
        raise
    options = _split(name)[1]
    encoder: Encoder = module.load(info.folder or model_dir, **({"options": options} if options else {}))
    return encoder

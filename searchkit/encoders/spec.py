"""The table of encoders and how a model spec becomes one; it imports an encoder only when it is opened."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from searchkit.errors import DependencyMissing, ModelNotFound
from searchkit.types import Encoder, Modality

__all__ = ["ENCODERS", "EncoderInfo", "open_encoder", "resolve_info"]

_ALL = frozenset({Modality.TEXT, Modality.IMAGE, Modality.AUDIO})


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What is known of an encoder without loading it.

    Attributes:
        name: what ``--model`` takes.
        module: import path of a module with ``load(model_dir: Path | None) -> Encoder``.
        modalities: what it embeds.
        dim: length of a vector; 0 when the checkpoint decides.
        licence: of the weights.
        summary: one line for people.
        extra: the optional dependency it needs, "" for none.
        built_in: its weights ship with searchkit.
        uses_gpu: it runs on a GPU where there is one.
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
            ),
        )
    }
)


def resolve_info(name: str) -> EncoderInfo:
    """The table's row for a name.

    Raises:
        ModelNotFound: there is no such encoder; the nearest name is suggested.
    """
    try:
        return ENCODERS[name]
    except KeyError:
        near = difflib.get_close_matches(name, ENCODERS, n=1)
        suggestion = f"did you mean {near[0]!r}? " if near else ""
        raise ModelNotFound(
            f"no model is called {name!r}", hint=f"{suggestion}`searchkit models list` shows all names"
        ) from None


def open_encoder(name: str, model_dir: Path | None = None) -> Encoder:
    """Open an encoder; its branches load when they are first used.

    Args:
        name: a name of the table.
        model_dir: where its files lie; None for the place where searchkit keeps them.

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
    encoder: Encoder = module.load(model_dir)
    return encoder

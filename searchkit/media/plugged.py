"""Files of plugged-in modalities: the checks that hold for every file, around what a plug decodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from searchkit.media.decoded import Facts
from searchkit.media.files import check_size, decoding, open_regular
from searchkit.media.settings import DecodeSettings
from searchkit.modality import Plug
from searchkit.types import ArraySample

__all__ = ["plugged_facts", "plugged_samples"]


def plugged_facts(plug: Plug, path: Path, settings: DecodeSettings) -> Facts:
    """What a file says about itself, as far as its plug tells.

    Raises:
        DecodeError: it cannot be read, is damaged, or is beyond a limit.
    """
    with open_regular(path) as file:
        check_size(path, file, settings.max_bytes, "max_bytes")
    with decoding(path, _noun(plug)):
        return Facts.from_dict(plug.facts(path)) if plug.facts is not None else Facts()


def plugged_samples(plug: Plug, path: Path, settings: DecodeSettings) -> Iterator[ArraySample]:
    """What a plug decodes, one sample after the other.

    Raises:
        DecodeError: the file cannot be read, is damaged, or is beyond a limit.
    """
    with open_regular(path) as file:
        check_size(path, file, settings.max_bytes, "max_bytes")
    samples = plug.decode(path)
    while True:
        with decoding(path, _noun(plug)):
            sample = next(samples, None)
        if sample is None:
            return
        yield sample


def _noun(plug: Plug) -> str:
    """Without its article, as ``decoding`` puts it into an error."""
    return plug.noun.partition(" ")[2] or plug.noun

"""Pairs of a picture or a sound with texts: where they lie, from a manifest or from WebDataset shards.

It knows places and texts only; nothing is decoded here. Shards are read with tarfile: a pair's bytes are
found by offset, so any order of a whole set can be seeded and resumed at a number.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchkit.errors import UsageError

__all__ = ["Pair", "PairSet", "open_pairs"]

_MEDIA = {
    "image": frozenset(["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"]),
    "audio": frozenset(["wav", "flac", "ogg", "oga", "opus", "mp3", "aiff", "aif"]),
}
_MOST_REPEATS = 1000
_TEXT_FIELDS = ("text", "caption", "captions", "texts")


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture or sound with what is said of it.

    Attributes:
        key: its name in messages: a path, or shard and key.
        modality: "image" or "audio".
        texts: one or several; each epoch takes one of them.
        path: the file that holds the media, alone or among others.
        start: where the bytes begin.
        size_bytes: how many there are; None for the whole file.
        repeat: how often an epoch has it.
    """

    key: str
    modality: str
    texts: tuple[str, ...]
    path: Path
    start: int = 0
    size_bytes: int | None = None
    repeat: int = 1

    def read(self) -> bytes:
        """The media's bytes.

        Raises:
            OSError: they cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read() if self.size_bytes is None else file.read(self.size_bytes)


@dataclass(frozen=True, slots=True)
class PairSet:
    """All pairs of one modality, and what was no pair: reasons by the place of the entry."""

    pairs: tuple[Pair, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)


def open_pairs(sources: Sequence[Path], modality: str) -> PairSet:
    """List the pairs of one modality.

    Args:
        sources: manifests (.jsonl), shards (.tar), or folders of both.
        modality: "image" or "audio"; pairs of the other one in the same sources are passed over.

    Raises:
        UsageError: a source is missing or of neither kind, or there is not a single pair.
    """
    pairs: list[Pair] = []
    skipped: dict[str, str] = {}
    for source in _files(sources):
        read = _read_shard if source.suffix == ".tar" else _read_manifest
        for place, found in read(source):
            if isinstance(found, str):
                skipped[place] = found
            elif found.modality == modality:
                pairs.extend([found] * found.repeat)
    if not pairs:
        named = ", ".join(map(str, sources))
        raise UsageError(
            f"{named}: no pair of text and {modality} in there", hint="docs/pretraining.md has the form"
        )
    return PairSet(tuple(pairs), skipped)


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from sorted(p for p in source.iterdir() if p.suffix in (".tar", ".jsonl"))
        elif not source.is_file():
            raise UsageError(f"{source}: there is no such file", hint="give manifests, shards or a folder")
        elif source.suffix not in (".tar", ".jsonl"):
            raise UsageError(f"{source}: neither a manifest (.jsonl) nor a shard (.tar)")
        else:
            yield source


def _read_manifest(path: Path) -> Iterator[tuple[str, Pair | str]]:
    """Lines such as {"modality": "image", "path": "dog.jpg", "text": "a dog"}; or "image": "dog.jpg"."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                yield place, _from_line(json.loads(line), path.parent)
            except (ValueError, TypeError, KeyError) as error:
                yield place, f"no pair: {error}"


def _from_line(line: Any, folder: Path) -> Pair:
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    named = [name for name in _MEDIA if name in line]
    if "path" in line and line.get("modality") in _MEDIA:
        modality, path = line["modality"], line["path"]
    elif len(named) == 1:
        modality, path = named[0], line[named[0]]
    else:
        raise ValueError('it needs "path" with "modality", or "image" or "audio"')
    return Pair(str(path), modality, _texts(line), folder / str(path), repeat=_repeat(line))


def _texts(values: Mapping[str, Any]) -> tuple[str, ...]:
    found = next((values[name] for name in _TEXT_FIELDS if values.get(name)), None)
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError("it has no text")
    return tuple(texts)


def _repeat(values: Mapping[str, Any]) -> int:
    repeat = values.get("repeat", 1)
    if not isinstance(repeat, int) or not 1 <= repeat <= _MOST_REPEATS:
        raise ValueError(f'"repeat" must be a whole number from 1 to {_MOST_REPEATS}')
    return repeat


def _read_shard(path: Path) -> Iterator[tuple[str, Pair | str]]:
    """Files of one key belong together: KEY.jpg with KEY.txt or KEY.json; other endings are ignored."""
    groups: dict[str, dict[str, tarfile.TarInfo]] = {}
    broken = ""
    try:
        with tarfile.open(path, "r:") as shard:
            try:
                for member in shard:
                    folder, _, name = member.name.rpartition("/")
                    key, _, extension = name.partition(".")
                    if member.isfile() and extension:
                        groups.setdefault(f"{folder}/{key}".lstrip("/"), {})[extension.lower()] = member
            except tarfile.TarError as error:
                broken = str(error)
            for key, members in groups.items():
                try:
                    yield f"{path}:{key}", _from_members(path, key, members, shard)
                except (ValueError, TypeError, tarfile.TarError) as error:
                    yield f"{path}:{key}", f"no pair: {error}"
    except tarfile.TarError as error:
        broken = str(error)
    if broken:
        yield str(path), f"the shard is damaged: {broken}"


def _from_members(
    path: Path, key: str, members: Mapping[str, tarfile.TarInfo], shard: tarfile.TarFile
) -> Pair:
    media = [(m, e) for m, endings in _MEDIA.items() for e in members if e in endings]
    if len(media) != 1:
        raise ValueError(f"it has {len(media)} pictures or sounds")
    modality, extension = media[0]
    said = next((members[e] for e in ("json", "txt") if e in members), None)
    stream = shard.extractfile(said) if said is not None else None
    if said is None or stream is None:
        raise ValueError("it has no text")
    content = stream.read().decode("utf-8", "replace")
    values = json.loads(content) if said.name.endswith("json") else {"text": content.strip()}
    member = members[extension]
    place = (path, member.offset_data, member.size)
    return Pair(f"{path}:{key}", modality, _texts(values), *place, _repeat(values))

"""What an export consists of: its manifest, and the formats that its tables come in; it knows no library."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from searchkit._version import __version__
from searchkit.durable import write_text
from searchkit.errors import UsageError, reason_of
from searchkit.types import FloatArray, Modality, Space

__all__ = [
    "FORMATS",
    "MANIFEST",
    "Block",
    "ExportedCollection",
    "Format",
    "Manifest",
    "Rows",
    "bad_export",
    "format_named",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "export.json"
FORMATS = ("parquet", "npy")

_FORMAT = 1
_CHUNK_BYTES = 1 << 22

Rows: TypeAlias = list[dict[str, Any]]
Block: TypeAlias = tuple[Rows, FloatArray]


class Format(Protocol):
    """Tables in files of a folder: assets, and segments with their vectors."""

    def write_assets(self, folder: Path, blocks: Iterable[Rows]) -> list[str]:
        """Write what is known of the files; the names of the files made."""
        ...

    def write_segments(
        self, folder: Path, name: str, space: Space, count: int, blocks: Iterable[Block]
    ) -> list[str]:
        """Write ``count`` segments with their (N, dim) vectors; the names of the files made."""
        ...

    def read_assets(self, folder: Path) -> Iterator[Rows]:
        """What ``write_assets`` was given."""
        ...

    def read_segments(self, folder: Path, name: str, dim: int) -> Iterator[Block]:
        """What ``write_segments`` was given."""
        ...


@dataclass(frozen=True, slots=True)
class ExportedCollection:
    """One collection of an export."""

    name: str
    space: Space
    modality: Modality
    encoded_as: Modality
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export says of itself: ``export.json``.

    Attributes:
        kind: the format of its tables, one of FORMATS.
        model: the model that the library searches with.
        decode: how files were decoded for it.
        collections: the collections, each with its space.
        files: its other files: name, size in bytes, CRC-32.
    """

    kind: str
    model: str
    decode: Mapping[str, float]
    collections: tuple[ExportedCollection, ...]
    files: tuple[tuple[str, int, int], ...] = ()


def format_named(kind: str) -> Format:
    """The format of a name.

    Raises:
        UsageError: there is none of that name.
        DependencyMissing: the extra ``parquet`` is not installed.
    """
    if kind == "parquet":
        from searchkit.indexer.moving.parquet import ParquetFormat

        return ParquetFormat()
    if kind == "npy":
        from searchkit.indexer.moving.npy import NpyFormat

        return NpyFormat()
    raise UsageError(f"no export format is called {kind!r}", hint=f"one of {', '.join(FORMATS)}")


def bad_export(path: Path, reason: str) -> UsageError:
    """The error for a file that is none of an export."""
    return UsageError(f"{path}: {reason}", hint="give the folder that `searchkit export` made, as it made it")


def write_manifest(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Write the manifest of the named files, durably."""
    content = {
        "format": _FORMAT,
        "searchkit": __version__,
        "kind": manifest.kind,
        "model": manifest.model,
        "decode": dict(manifest.decode),
        "collections": [
            {
                "name": each.name,
                "modality": each.modality.value,
                "encoded_as": each.encoded_as.value,
                "rows": each.rows,
                "space": {
                    "fingerprint": each.space.fingerprint,
                    "encoder": each.space.encoder,
                    "revision": each.space.revision,
                    "preprocessing": each.space.preprocessing,
                    "dim": each.space.dim,
                },
            }
            for each in manifest.collections
        ],
        "files": [
            dict(zip(("name", "size_bytes", "crc32"), _summed(folder / n), strict=True)) for n in names
        ],
    }
    write_text(folder / MANIFEST, json.dumps(content, indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of an export, and every byte of its files.

    Raises:
        UsageError: it is no export, of a later version, or a file of it is damaged.
    """
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > _FORMAT:
            raise UsageError(f"{path} was written by a later version", hint="pip install --upgrade searchkit")
        manifest = Manifest(
            kind=raw["kind"],
            model=raw["model"],
            decode={str(name): float(value) for name, value in raw["decode"].items()},
            collections=tuple(_collection(path, each) for each in raw["collections"]),
            files=tuple((each["name"], each["size_bytes"], each["crc32"]) for each in raw["files"]),
        )
    except OSError as error:
        raise bad_export(path, reason_of(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise bad_export(path, f"does not parse: {error}") from error
    for name, size_bytes, crc32 in manifest.files:
        if Path(name).name != name:
            raise bad_export(path, f"names the file {name!r}")
        try:
            found = _summed(folder / name)
        except OSError as error:
            raise bad_export(folder / name, reason_of(error)) from error
        if found != (name, size_bytes, crc32):
            raise bad_export(folder / name, "its bytes have changed since they were written")
    return manifest


def _collection(path: Path, raw: Mapping[str, Any]) -> ExportedCollection:
    given = dict(raw["space"])
    fingerprint = given.pop("fingerprint")
    space = Space(**given)
    if space.fingerprint != fingerprint:
        raise bad_export(path, f"the fingerprint {fingerprint} is not that of the space {space}")
    name = str(raw["name"])
    if Path(name).name != name:
        raise bad_export(path, f"names a collection {name!r}")
    return ExportedCollection(
        name, space, Modality(raw["modality"]), Modality(raw["encoded_as"]), int(raw["rows"])
    )


def _summed(path: Path) -> tuple[str, int, int]:
    size_bytes = crc32 = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            size_bytes, crc32 = size_bytes + len(chunk), zlib.crc32(chunk, crc32)
    return path.name, size_bytes, crc32

"""The manifest: which files make up a collection; switching it is the commit. It opens none of them."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from searchkit.durable import write_text
from searchkit.errors import StoreCorrupt, StoreError

__all__ = [
    "DAMAGE_HINT",
    "FORMAT",
    "MANIFEST_NAME",
    "FileEntry",
    "Manifest",
    "SegmentEntry",
    "read_manifest",
    "write_manifest",
]

FORMAT = 1
MANIFEST_NAME = "manifest.json"
DAMAGE_HINT = "searchkit verify --repair && searchkit index; or restore the library from a backup"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that never changes: its name, its size, and the CRC-32 of its bytes."""

    name: str
    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A sealed segment: its rows, its ids, and which of its rows are dead; the rest is derived."""

    name: str
    count: int
    rows: FileEntry
    ids: FileEntry
    dead: FileEntry | None = None
    dead_count: int = 0
    derived: tuple[FileEntry, ...] = ()

    def files(self) -> tuple[FileEntry, ...]:
        """All files of the segment."""
        return (self.rows, self.ids, *((self.dead,) if self.dead else ()), *self.derived)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One state of a collection; ``generation`` grows with each switch and names new files."""

    dim: int
    generation: int
    log: str
    segments: tuple[SegmentEntry, ...] = ()

    def file_names(self) -> set[str]:
        """Names of all files that belong to this state, the manifest itself left out."""
        return {self.log} | {file.name for segment in self.segments for file in segment.files()}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Switch to a new state, durably.

    Raises:
        DiskFull: the device is full; the old state stays.
    """
    body = json.dumps(asdict(manifest), sort_keys=True)
    content = {"format": FORMAT, "crc32": zlib.crc32(body.encode()), "collection": json.loads(body)}
    write_text(folder / MANIFEST_NAME, json.dumps(content, sort_keys=True) + "\n")


def read_manifest(path: Path, text: str) -> Manifest:
    """Parse a manifest.

    Raises:
        StoreCorrupt: it is damaged.
        StoreError: a later version of searchkit wrote it.
    """
    try:
        content = json.loads(text)
        if content["format"] > FORMAT:
            raise StoreError(
                f"{path} has format {content['format']}, this searchkit reads up to {FORMAT}",
                hint="pip install --upgrade searchkit",
            )
        raw = content["collection"]
        if zlib.crc32(json.dumps(raw, sort_keys=True).encode()) != content["crc32"]:
            raise ValueError("the checksum does not match")
        return Manifest(
            dim=raw["dim"],
            generation=raw["generation"],
            log=raw["log"],
            segments=tuple(_segment(entry) for entry in raw["segments"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"{path} is damaged: {error}", hint=DAMAGE_HINT) from error


def _segment(raw: dict[str, Any]) -> SegmentEntry:
    return SegmentEntry(
        name=raw["name"],
        count=raw["count"],
        rows=FileEntry(**raw["rows"]),
        ids=FileEntry(**raw["ids"]),
        dead=FileEntry(**raw["dead"]) if raw["dead"] else None,
        dead_count=raw["dead_count"],
        derived=tuple(FileEntry(**entry) for entry in raw["derived"]),
    )

"""What a library holds, read from its catalog alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.catalog import Catalog, assets, runs, segments, spaces
from searchkit.types import Modality, Space

__all__ = ["LibraryStatus", "read_status"]


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """What a library holds.

    Attributes:
        folder: where it lies.
        spaces: every space it has vectors of.
        assets: files by modality.
        segments: searchable vectors by collection name.
        failed: files that could not be read.
        roots: indexed folders.
        last_run: the newest run, None before the first.
    """

    folder: Path
    spaces: list[Space]
    assets: dict[Modality, int]
    segments: dict[str, int]
    failed: int
    roots: list[str]
    last_run: runs.RunRow | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        run = self.last_run
        return {
            "library": str(self.folder),
            "roots": self.roots,
            "assets": {modality.value: count for modality, count in self.assets.items()},
            "failed": self.failed,
            "segments": self.segments,
            "spaces": [
                {
                    "fingerprint": space.fingerprint,
                    "encoder": space.encoder,
                    "revision": space.revision,
                    "preprocessing": space.preprocessing,
                    "dim": space.dim,
                }
                for space in self.spaces
            ],
            "last_run": None if run is None else run.to_dict(),
        }


def read_status(folder: Path, catalog: Catalog) -> LibraryStatus:
    """Read what a catalog lists; loads no model and no vectors."""
    with catalog.read() as connection:
        known = spaces.spaces(connection)
        counts = segments.count_ready(connection)
        latest = runs.recent_runs(connection, limit=1)
        names = {
            ref.name: counts.get(ref.id, 0)
            for space_id, _ in known
            for ref in spaces.collections_of(connection, space_id)
        }
        return LibraryStatus(
            folder=folder,
            spaces=[space for _, space in known],
            assets=assets.count_by_modality(connection),
            segments=names,
            failed=len(assets.failures(connection)),
            roots=[path for path, _ in assets.roots(connection)],
            last_run=latest[0] if latest else None,
        )

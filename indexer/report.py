"""What a run of the indexer says when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FileFailure", "IndexReport"]


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """Counts of one run; a file is counted once.

    Attributes:
        new: files embedded for the first time.
        changed: files embedded again, because their content or the decoding settings changed.
        moved: files found at another place; nothing was embedded.
        gone: files that are no longer there, removed from the library.
        same: files that were up to date.
        failed: files that could not be read, now or earlier with the same content.
        skipped: files that are not media.
        segments: vectors written.
        seconds: how long the run took.
        interrupted: the run was asked to stop; the rest is for the next run.
        errors: one for each failed file.
        library: the library's folder.
        space: the space that was written.
    """

    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0
    same: int = 0
    failed: int = 0
    skipped: int = 0
    segments: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    errors: list[FileFailure] = field(default_factory=list)
    library: Path = Path()
    space: str = ""

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        names = ("new", "changed", "moved", "gone", "same", "failed", "skipped", "segments")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.counts(),
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "library": str(self.library),
            "space": self.space,
            "errors": [{"path": failure.path, "reason": failure.reason} for failure in self.errors],
        }

"""What a run of the indexer says when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FileFailure", "IndexReport", "PlannedFile", "StageTimes"]


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """What a run would do with a file: new, changed, again, moved (from ``old_path``) or gone."""

    action: str
    path: str
    old_path: str | None = None

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        moved = {} if self.old_path is None else {"old_path": self.old_path}
        return {"action": self.action, "path": self.path, **moved}


@dataclass(slots=True)
class StageTimes:
    """Seconds of work and things done, by stage.

    Stages overlap, and decoding goes on in several threads, so that the seconds do not add up to the run's.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, stage: str, seconds: float, count: int = 0) -> None:
        """Add to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.counts[stage] = self.counts.get(stage, 0) + count

    def to_dict(self) -> dict[str, dict[str, float]]:
        """For JSON."""
        return {
            stage: {"seconds": round(seconds, 3), "count": self.counts[stage]}
            for stage, seconds in self.seconds.items()
        }


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
        uncounted: files that workers on other machines recorded and then died before they could say how.
        remaining: files that an interrupted run left for the next one.
        seconds: how long the run took.
        interrupted: the run was asked to stop; the rest is for the next run.
        errors: one for each failed file.
        plan: what would be done, in a dry run.
        stages: where the time went.
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
    uncounted: int = 0
    remaining: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    errors: list[FileFailure] = field(default_factory=list)
    plan: list[PlannedFile] = field(default_factory=list)
    stages: StageTimes = field(default_factory=StageTimes)
    library: Path = Path()
    space: str = ""

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        names = ("new", "changed", "moved", "gone", "same", "failed", "skipped", "segments", "uncounted")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.counts(),
            "remaining": self.remaining,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "library": str(self.library),
            "space": self.space,
            "errors": [{"path": failure.path, "reason": failure.reason} for failure in self.errors],
            "plan": [file.to_dict() for file in self.plan],
            "stages": self.stages.to_dict(),
        }

"""How the indexer tells its caller how far it is; the caller decides what a person sees."""

from __future__ import annotations

from typing import Protocol

__all__ = ["NO_PROGRESS", "Progress"]


class Progress(Protocol):
    """Receives the state of a run; called from the run's own thread only."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins: "scan", "hash", "embed", "clean"; total in files, None when unknown."""
        ...

    def advance(self, files: int = 1) -> None:
        """So many files of the current stage are done."""
        ...

    def failed(self, path: str, reason: str) -> None:
        """A file could not be read."""
        ...


class _NoProgress:
    def stage(self, name: str, total: int | None) -> None:
        return

    def advance(self, files: int = 1) -> None:
        return

    def failed(self, path: str, reason: str) -> None:
        return


NO_PROGRESS: Progress = _NoProgress()
"""Says nothing."""

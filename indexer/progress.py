"""How the indexer tells its caller how far it is; the caller decides what a person sees."""

from __future__ import annotations

from typing import Protocol

__all__ = ["NO_PROGRESS", "Progress"]


class Progress(Protocol):
    """Receives the state of a run; called from the run's own thread only.

    Stages are "scan", "hash", "decode", "embed" and "clean". "decode" and "embed" go on side by side, the
    others one after the other.
    """

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins; total in files, None when unknown."""
        ...

    def advance(self, files: int = 1, *, stage: str | None = None) -> None:
        """So many files more are done, of a stage or, without one, of the stage that began last."""
        ...

    def failed(self, path: str, reason: str) -> None:
        """A file could not be read."""
        ...


class _NoProgress:
    def stage(self, name: str, total: int | None) -> None:
        return

    def advance(self, files: int = 1, *, stage: str | None = None) -> None:
        return

    def failed(self, path: str, reason: str) -> None:
        return


NO_PROGRESS: Progress = _NoProgress()
"""Says nothing."""

"""Copies a library again and again, each time killed one durable step later, until a copy gets through.

Usage: killing_copy.py SOURCE PLACE; the copy killed before step N would lie in PLACE/N/library. Prints how
many were killed. Forks, so that a copy costs no imports.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import searchkit as sk
from searchkit.indexer import moving
from searchkit.indexer.moving import copying, landing
from tests.indexer.killing import count_steps

assert moving


def main(source: Path, place: Path) -> int:
    with sk.open_library(source, read_only=True) as library:  # so that forks find all imported
        library.copy(place / "undisturbed")
    killed = 0
    # small parts, so that there is much to interrupt
    copying._CHUNK_ROWS = 3
    while True:
        (place / str(killed)).mkdir()
        child = os.fork()
        if child == 0:
            step = count_steps(killed)
            for name in ("fsync_folder", "write_text"):
                setattr(landing, name, stepping(step, getattr(landing, name)))
            with sk.open_library(source, read_only=True) as library:
                library.copy(place / str(killed) / "library")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return killed
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        killed += 1


def stepping(step: Callable[[str], None], function: Callable[..., None]) -> Callable[..., None]:
    """The function, as a step."""

    def stepped(*arguments: object) -> None:
        step(function.__name__)
        function(*arguments)

    return stepped


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2])))

"""Indexes a folder again and again, each time killed one durable step later, until a run gets through.

Usage: -m tests.indexer.killing PLACE FOLDER [PREPARED]; the library killed before step N lies in PLACE/N, at
first a copy of PREPARED. Prints how many runs were killed. Forks, so that a run costs no imports.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import searchkit as sk
from searchkit.catalog import Catalog
from searchkit.stores.faiss.store import FaissStore
from tests.libraries.words_encoder import WordsEncoder


def count_steps(kill_at: int) -> Callable[[str], None]:
    """From now on, SIGKILL this process when a durable step would be its number ``kill_at``.

    Returns a function that counts one more step, for steps that are not known here.
    """
    steps: list[str] = []

    def step(name: str) -> None:
        if len(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(name)

    write = Catalog.write

    @contextmanager
    def stepping_write(self: Catalog) -> Iterator[Any]:
        step("transaction begins")
        with write(self) as connection:
            yield connection
            step("transaction commits")

    Catalog.write = stepping_write  # type: ignore[method-assign]
    for name in ("upsert", "flush", "delete"):
        method = getattr(FaissStore, name)

        def stepping(self: FaissStore, *args: Any, _method: Any = method, _name: str = name) -> Any:
            step(_name)
            return _method(self, *args)

        setattr(FaissStore, name, stepping)
    return step


def open_with_words(folder: Path) -> sk.Library:
    """A library with an encoder that needs no loading, each time it is opened again."""
    library = sk.open_library(folder)
    library._encoder = WordsEncoder()
    return library


def main(place: Path, folder: Path, prepared: Path | None) -> int:
    with open_with_words(place / "undisturbed") as opened:  # so that forks find all imported
        opened.index(folder)
    killed = 0
    while True:
        library = place / str(killed)
        if prepared is not None:
            shutil.copytree(prepared, library)
        child = os.fork()
        if child == 0:
            count_steps(killed)
            with open_with_words(library) as opened:
                opened.index(folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return killed
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        killed += 1


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None))

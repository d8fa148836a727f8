"""Runs the indexer in this process and kills it right before one of its durable steps.

Usage: killing.py LIBRARY FOLDER STEP; with STEP -1 it runs to its end and prints how many steps there were.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import searchkit as sk
from searchkit.catalog import Catalog
from searchkit.stores.faiss.store import FaissStore


def main(library: str, folder: str, kill_at: int) -> None:
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
    with sk.open_library(library) as opened:
        opened.index(folder)
    print(len(steps))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

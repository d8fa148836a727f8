"""One of several machines that index a library together.

Usage: working.py LIBRARY FOLDER CATALOG STORE LEASE_S [KILL_AT]

Kills itself after KILL_AT writes of vectors; else prints how many files it embedded.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import searchkit as sk
from searchkit.stores.qdrant.store import QdrantStore


def main(library: str, folder: str, catalog: str, store: str, lease_s: float, kill_at: int) -> None:
    writes = [0]
    upsert = QdrantStore.upsert

    def counting(self: QdrantStore, *args: Any) -> None:
        writes[0] += 1
        upsert(self, *args)
        if writes[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    QdrantStore.upsert = counting  # type: ignore[method-assign]
    with sk.open_library(library, catalog=catalog, store=store, lease_s=lease_s) as opened:
        report = opened.index(Path(folder))
    print(report.new)


if __name__ == "__main__":
    main(*sys.argv[1:5], float(sys.argv[5]), int(sys.argv[6]) if len(sys.argv) > 6 else -1)

"""What the table of stores calls for ``faiss`` and ``faiss+gpu``."""

from __future__ import annotations

import shutil
from pathlib import Path

from searchkit.durable import fsync_folder
from searchkit.errors import StoreLocked
from searchkit.lock import WriterLock
from searchkit.stores.faiss.salvage import salvage_collection
from searchkit.stores.faiss.store import FaissStore
from searchkit.stores.faiss.tuning import Tuning
from searchkit.stores.faiss.writer import LOCK_NAME

__all__ = ["delete_collection", "open_collection", "repair_collection"]


def open_collection(spec: str, root: Path, name: str, dim: int, read_only: bool) -> FaissStore:
    """Open ``root/name``; for ``faiss+gpu`` with rows on a GPU, where there is one."""
    return FaissStore(root / name, dim, read_only=read_only, tuning=Tuning(gpu=spec == "faiss+gpu"))


def repair_collection(spec: str, root: Path, name: str, dim: int) -> list[str]:
    """Drop what is damaged of ``root/name``; what that was, one sentence each."""
    del spec
    return salvage_collection(root / name, dim)


def delete_collection(spec: str, root: Path, name: str) -> None:
    """Delete ``root/name``; under the writer's lock, so that no writer loses its files."""
    del spec
    folder = root / name
    if not folder.is_dir():
        return
    lock = WriterLock(folder / LOCK_NAME, f"the collection {folder}", error=StoreLocked)
    try:
        # renamed first, so that a crash leaves no half of a collection under its name
        doomed = root / f".{name}.deleted"
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        fsync_folder(root)
        shutil.rmtree(doomed)
    finally:
        lock.release()

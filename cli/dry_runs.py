"""A first dry run has no library yet, and must not make one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchkit.catalog import CATALOG_FILE
from searchkit.config import SETTINGS_FILE, default_library, load_settings

__all__ = ["dry_library"]


@contextmanager
def dry_library(library: Path | None) -> Iterator[Path | None]:
    """The library's folder where there is one; else one for the block alone, with the same settings."""
    chosen = (library or default_library()).expanduser()
    settings = chosen / SETTINGS_FILE
    if (chosen / CATALOG_FILE).exists() or (settings.exists() and load_settings(chosen).catalog):
        yield library
        return
    with tempfile.TemporaryDirectory(prefix="searchkit-") as scratch:
        if settings.exists():
            shutil.copy(settings, scratch)
        yield Path(scratch)

"""The files of a built-in model: measured at once, hashed on demand; knows nothing of what is in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.errors import ModelCorrupt, ModelNotFound

__all__ = ["ModelFiles"]

MANIFEST = "manifest.json"
FORMAT = 1
_REINSTALL = (
    "reinstall searchkit (`pip install --force-reinstall --no-deps searchkit`), "
    "or rebuild the model with `python tools/build_mini.py`"
)


@dataclass(frozen=True)
class ModelFiles:
    """A folder whose manifest lists every file of the model with its size and sha256.

    Opening compares sizes only, which costs microseconds; ``verify`` reads and hashes everything (about
    0.1 s). A file of the right size and the wrong bytes is thus found by ``verify``, or by the failure to
    load it, which verifies on its own.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> ModelFiles:
        """Read the manifest and compare the size of each file.

        Raises:
            ModelNotFound: the manifest or a file is missing.
            ModelCorrupt: the manifest does not parse, is of another format, or a file has another size.
        """
        path = folder / MANIFEST
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ModelNotFound(
                f"no model at {folder}: {MANIFEST} cannot be read", hint=_REINSTALL
            ) from error
        try:
            manifest = json.loads(text)
            found = manifest["format"]
            sizes = {name: int(entry["bytes"]) for name, entry in manifest["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelCorrupt(f"{path} is not a model manifest: {error}", hint=_REINSTALL) from error
        if found != FORMAT:
            raise ModelCorrupt(
                f"{path} is of format {found}, this searchkit reads {FORMAT}", hint="upgrade searchkit"
            )
        for name, size in sizes.items():
            _check_size(folder / name, size)
        return cls(folder, manifest)

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.folder / name

    def verify(self) -> None:
        """Hash every file.

        Raises:
            ModelNotFound: a file is missing.
            ModelCorrupt: a file is not what the manifest says.
        """
        for name, entry in self.manifest["files"].items():
            path = self.folder / name
            _check_size(path, int(entry["bytes"]))
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != entry["sha256"]:
                raise ModelCorrupt(
                    f"{path} is damaged: sha256 {digest[:12]}…, not {entry['sha256'][:12]}…", hint=_REINSTALL
                )

    def damaged(self, name: str, error: Exception) -> ModelCorrupt:
        """The error for a file that does not load; says so when another file's hash is what is wrong."""
        try:
            self.verify()
        except ModelCorrupt as found:
            return found
        return ModelCorrupt(f"{self.folder / name} does not load: {error}", hint=_REINSTALL)


def _check_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise ModelNotFound(f"the model file {path} is missing", hint=_REINSTALL) from error
    if found != size:
        raise ModelCorrupt(f"{path} has {found} bytes, expected {size}", hint=_REINSTALL)

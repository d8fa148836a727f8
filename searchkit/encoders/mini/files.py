"""The files of a built-in model: measured at once, hashed when read; knows nothing of what is in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.errors import ModelCorrupt, ModelNotFound

__all__ = ["MANIFEST", "ModelFiles"]

MANIFEST = "manifest.json"
FORMAT = 2
_REINSTALL = (
    "reinstall searchkit (`pip install --force-reinstall --no-deps searchkit`), "
    "or rebuild the model with `python tools/build_mini.py`"
)


@dataclass(frozen=True)
class ModelFiles:
    """A folder whose manifest lists every file of the model with its size and sha256.

    Opening compares sizes only, which costs microseconds. Whoever reads a file compares its hash: ``read``
    does, and ``check`` is for those who have something else to do meanwhile. ``verify`` does all of them.
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

    def content(self, name: str) -> bytes:
        """The bytes of a file, which are still to be checked.

        Raises:
            ModelNotFound: the file cannot be read.
        """
        path = self.folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise ModelNotFound(f"the model file {path} is missing", hint=_REINSTALL) from error

    def check(self, name: str, content: bytes) -> None:
        """Compare the hash of a file's bytes.

        Raises:
            ModelCorrupt: they are not what the manifest says.
        """
        digest, expected = hashlib.sha256(content).hexdigest(), self.manifest["files"][name]["sha256"]
        if digest != expected:
            raise ModelCorrupt(
                f"{self.folder / name} is damaged: sha256 {digest[:12]}…, not {expected[:12]}…",
                hint=_REINSTALL,
            )

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            ModelNotFound: the file cannot be read.
            ModelCorrupt: it is not what the manifest says.
        """
        content = self.content(name)
        self.check(name, content)
        return content

    def verify(self) -> None:
        """Hash every file.

        Raises:
            ModelNotFound: a file is missing.
            ModelCorrupt: a file is not what the manifest says.
        """
        for name in self.manifest["files"]:
            self.read(name)

    def unusable(self, name: str, error: Exception) -> ModelCorrupt:
        """The error for a file that is what the manifest says and does not load all the same."""
        return ModelCorrupt(f"{self.folder / name} does not load: {error}", hint=_REINSTALL)


def _check_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise ModelNotFound(f"the model file {path} is missing", hint=_REINSTALL) from error
    if found != size:
        raise ModelCorrupt(f"{path} has {found} bytes, expected {size}", hint=_REINSTALL)

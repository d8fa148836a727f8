"""Which file of an asset may be read: only a regular one, and only inside the folder that was indexed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from searchkit.catalog.details import AssetDetails
from searchkit.errors import Unavailable
from searchkit.web.problems import safe_text

__all__ = ["ReadableFile", "readable_file", "served_type"]

# What a browser shows without running anything in it; all else is only ever saved.
_SHOWN = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/x-wav",
        "audio/flac",
        "audio/x-flac",
        "audio/mp4",
        "audio/aac",
        "audio/webm",
        "audio/opus",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "video/quicktime",
    }
)


@dataclass(frozen=True, slots=True)
class ReadableFile:
    """An asset's file that may be read: ``path`` has no links left in it."""

    path: Path
    stat: os.stat_result


def readable_file(asset: AssetDetails) -> ReadableFile:
    """The file of an asset.

    Raises:
        Unavailable: it is gone (404), is no regular file, or a link leads out of the indexed folder (403).
    """
    shown = safe_text(asset.path)
    try:
        # Strict, so that nothing unresolved is left to change its meaning later.
        real = Path(asset.path).resolve(strict=True)
        root = Path(asset.root).resolve(strict=True)
        found = real.stat()
    except (OSError, RuntimeError, ValueError):
        raise Unavailable(
            f"{shown} is no longer there", status=404, hint="searchkit index brings the library up to date"
        ) from None
    if real != root and not real.is_relative_to(root):
        raise Unavailable(
            f"{shown} is a link that leads out of {safe_text(asset.root)}",
            status=403,
            hint="index the folder that it leads to",
        )
    if not stat.S_ISREG(found.st_mode):
        raise Unavailable(f"{shown} is not a file", status=403)
    if not os.access(real, os.R_OK):
        raise Unavailable(f"{shown}: permission denied", status=403, hint="check the file's permissions")
    return ReadableFile(real, found)


def served_type(mime: str | None) -> tuple[str, bool]:
    """The media type to serve a file as, and whether a browser may show it in place."""
    if mime in _SHOWN:
        return mime, True
    if mime is not None and (mime.startswith("text/") or mime == "application/x-subrip"):
        # Never as HTML, whatever is in it.
        return "text/plain; charset=utf-8", True
    return "application/octet-stream", False

"""Fetches a published checkpoint once and converts it to a folder that searchkit opens by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchkit.config import models_folder
from searchkit.one_peace.branches import CONFIG_NAME
from searchkit.one_peace.convert import convert_checkpoint
from searchkit.one_peace.download import download
from searchkit.one_peace.published import published

__all__ = ["pull_model"]

Progress = Callable[[str, int, int], None]


def pull_model(
    name: str,
    *,
    root: Path | None = None,
    url: str | None = None,
    dtype: str | None = None,
    keep_checkpoint: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Download and convert a published checkpoint, unless that was done before.

    Args:
        name: such as "one-peace" or "one-peace-grounding".
        root: where models are kept; None for searchkit's own place.
        url: fetch from there, such as a mirror, in place of the publisher's address.
        dtype: "float32", "bfloat16" or "float16" for the converted weights; None keeps the checkpoint's.
        keep_checkpoint: leave the downloaded file beside the folder.
        progress: called with "download" or "convert", bytes done and bytes in all.

    Returns:
        The converted folder.

    Raises:
        ModelNotFound: there is no published checkpoint of that name.
        DownloadError: the download failed or is not what was expected; what arrived stays for a next try.
        CheckpointError: what arrived is no checkpoint.
        DiskFull: there is no space.
    """
    checkpoint = published(name)
    home = root or models_folder()
    folder = home / checkpoint.name
    if (folder / CONFIG_NAME).is_file():
        return folder
    report = progress or (lambda step, done, total: None)
    target = home / "downloads" / checkpoint.file_name
    download(
        url or checkpoint.url,
        target,
        sha256=checkpoint.sha256,
        progress=lambda done, total: report("download", done, total),
    )
    convert_checkpoint(
        target, folder, dtype=dtype, progress=lambda done, total: report("convert", done, total)
    )
    if not keep_checkpoint:
        target.unlink()
    return folder

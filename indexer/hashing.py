"""Identity of a file's content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from searchkit.errors import DecodeError, reason_of

__all__ = ["content_hash"]


def content_hash(path: str) -> str:
    """BLAKE2b of the whole file, 32 hexadecimal digits.

    Raises:
        DecodeError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise DecodeError(path, reason_of(error)) from error

"""Column types that SQLite and PostgreSQL read alike: paths that need not be UTF-8, and times in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Dialect, Integer, String, Text
from sqlalchemy.types import TypeDecorator

__all__ = [
    "BigId",
    "PathText",
    "UtcTime",
    "decode_path",
    "encode_path",
    "is_storable",
    "lies_below",
    "storable",
]

BigId = BigInteger().with_variant(Integer, "sqlite")

_ESCAPES = re.compile(r"\\(\\|x([0-9a-f]{2}))")


def encode_path(path: str) -> str:
    r"""Text that any database holds for a path: bytes that are not UTF-8 become ``\xNN``, ``\`` doubles."""
    if "\\" not in path:
        try:
            path.encode()
        except UnicodeEncodeError:
            pass
        else:
            return path
    escaped = path.replace("\\", "\\\\")
    return "".join(
        f"\\x{ord(char) - 0xDC00:02x}" if 0xDC80 <= ord(char) <= 0xDCFF else char for char in escaped
    )


def decode_path(stored: str) -> str:
    """The path that ``encode_path`` was given."""
    if "\\" not in stored:
        return stored
    return _ESCAPES.sub(lambda m: chr(0xDC00 + int(m[2], 16)) if m[2] else "\\", stored)


def storable(text: str | None) -> str | None:
    """Text that any database holds: without zeros, and with escapes for what is no Unicode."""
    if text is None:
        return None
    return text.replace("\0", "").encode("utf-8", "backslashreplace").decode()


def lies_below(path: str, folder: str) -> bool:
    """Whether a path is that of a folder, or of something in it; ``assets.under_column`` says it in SQL."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_storable(text: str) -> bool:
    """Whether any database holds a text as it is."""
    return storable(text) == text


class PathText(TypeDecorator[str]):
    """A path as text, in order of its bytes; names that are not UTF-8 (surrogate escapes) survive."""

    impl = Text().with_variant(Text(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what a database cannot hold."""
        return None if value is None else encode_path(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Undo the escapes."""
        return None if value is None else decode_path(value)


class UtcTime(TypeDecorator[datetime]):
    """A moment, stored as ISO 8601 text in UTC so that text order is time order in every database."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time needs a time zone, got {value!r}")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """An aware time in UTC."""
        return None if value is None else datetime.fromisoformat(value)

"""Cursors: where the next page begins, as text that is safe in a URL; written here, yet never trusted."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, TypeVar

from searchkit.errors import QueryError

__all__ = ["number_of", "read_cursor", "write_cursor"]

_MAX_BYTES = 200_000
_Default = TypeVar("_Default", int, None)


def write_cursor(value: dict[str, Any]) -> str:
    """Text that ``read_cursor`` turns into the same value."""
    packed = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(cursor: str) -> dict[str, Any]:
    """What a cursor says; its content is as unsafe as any input.

    Raises:
        QueryError: no cursor of this server looks like that.
    """
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        inflater = zlib.decompressobj()
        text = inflater.decompress(packed, _MAX_BYTES)
        if inflater.unconsumed_tail:
            raise ValueError("too long")
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError("not an object")
    except (ValueError, binascii.Error, zlib.error, RecursionError):
        raise _unknown() from None
    return value


def number_of(cursor: str | None, name: str, *, default: _Default) -> int | _Default:
    """The number that a cursor says the next page begins at; ``default`` without a cursor.

    Raises:
        QueryError: it says none.
    """
    if not cursor:
        return default
    value = read_cursor(cursor).get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise _unknown()
    return value


def _unknown() -> QueryError:
    return QueryError(
        "that is no cursor of this server", hint="give back next_cursor as it came, or leave it out"
    )

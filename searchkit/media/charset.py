"""Finds out how bytes spell text; knows nothing of what the text is."""

from __future__ import annotations

import codecs
import re

__all__ = ["decode_text"]

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Tab, line feed, vertical tab, form feed, carriage return, end-of-file and escape do occur in texts.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f\ufffe\uffff]")
_MOSTLY_ASCII = 0.7


def decode_text(data: bytes, *, cut: bool = False) -> str | None:
    """Bytes as text: by its byte order mark, else UTF-8, UTF-16 without a mark, or Windows-1252 (Latin-1).

    Args:
        data: the bytes.
        cut: they may end within a character.

    Returns:
        The text without its mark, or None when the bytes are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strict(data[len(mark) :], encoding, cut)
    text = _strict(data, "utf-8", cut)
    if text is not None:
        return text
    if b"\x00" in data[:4096]:
        wide = _zeros_encoding(data[:4096])
        return _strict(data, wide, cut) if wide else None
    ascii_bytes = sum(1 for byte in data[:4096] if byte < 0x80)
    if ascii_bytes < _MOSTLY_ASCII * min(len(data), 4096):
        return None
    return _strict(data, "cp1252", cut) or _strict(data, "latin-1", cut)


def _strict(data: bytes, encoding: str, cut: bool) -> str | None:
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data, final=not cut)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _zeros_encoding(data: bytes) -> str | None:
    """Western text in UTF-16 has a zero in most second bytes, before or after the letter, and no other."""
    early, late = (data[half::2].count(0) / max(1, len(data) // 2) for half in (0, 1))
    if min(early, late) > 0.1 or max(early, late) < 0.7:
        return None
    return "utf-16-be" if early > late else "utf-16-le"

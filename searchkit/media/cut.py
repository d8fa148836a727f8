"""Tells by a file's outermost structure whether its end is missing; decodes nothing.

Libraries play what is there of such a file, and call a download that broke off a short film.
"""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["missing_bytes"]

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES = frozenset(
    {
        b"ftyp",
        b"moov",
        b"mdat",
        b"moof",
        b"mfra",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"meta",
        b"sidx",
        b"styp",
        b"emsg",
    }
)
# Recorders that stream write 0 or nearly the highest number, since they cannot know.
_UNKNOWN_RIFF = 0x7FFF_0000


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes a WAV, AVI, MP4, MOV, Matroska or WebM file announces but lacks; 0 for other files."""
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, 12, 0)
    if head[:4] == b"RIFF" and head[8:] in (b"WAVE", b"AVI "):
        return _missing_riff(descriptor, size)
    if head.startswith(_EBML):
        return _missing_matroska(descriptor, size)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _missing_boxes(descriptor, size)
    return 0


def _missing_riff(descriptor: int, size: int) -> int:
    """Of the chunk that holds the media: a wrong length of the whole is common, and harmless."""
    at = 12
    while at + 8 <= size:
        header = os.pread(descriptor, 12, at)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] == b"data" or (header[:4] == b"LIST" and header[8:] == b"movi"):
            return max(0, at + 8 + length - size) if 0 < length < _UNKNOWN_RIFF else 0
        at += 8 + length + length % 2
    return 0


def _missing_boxes(descriptor: int, size: int) -> int:
    """ISO/IEC 14496-12: a box is its length, its type and what it holds."""
    at = 0
    while at + 8 <= size:
        header = os.pread(descriptor, 16, at)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        # Whatever follows the last box is no matter of ours.
        if length < 8 or kind not in _BOXES:
            return 0
        at += length
    return max(0, at - size)


def _missing_matroska(descriptor: int, size: int) -> int:
    """RFC 8794: the header element, then one segment that holds everything."""
    at = 0
    for element in (_EBML, _SEGMENT):
        header = os.pread(descriptor, 12, at)
        if not header.startswith(element):
            return 0
        width = 9 - header[4].bit_length()
        if width > 8:
            return 0
        length = int.from_bytes(header[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:
            return 0
        at += 4 + width + length
    return max(0, at - size)

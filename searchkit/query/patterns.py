"""What the query grammar is made of: patterns of its words, numbers and signs, and names that people try."""

from __future__ import annotations

import re

from searchkit.query.algebra import KINDS

__all__ = [
    "ESCAPE",
    "FACTOR",
    "INTEGER",
    "KIND_GLUED",
    "KIND_INSIDE",
    "KIND_OR_QUOTE_GLUED",
    "PREFIX",
    "SAVED",
    "SIMPLE",
    "SPACE",
    "SPAN",
    "SYNONYMS",
    "TERM_AHEAD",
    "WEIGHT",
    "WEIGHT_AHEAD",
]

# Possessive quantifiers keep matching linear on hostile input.
_NUMBER_PATTERN = r"(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?"
_SIGNED_WEIGHT_PATTERN = rf"[+-]{{0,8}}+(?:{_NUMBER_PATTERN}\s*+\*\s*+)?[+-]{{0,8}}+"
_KIND_PATTERN = rf"(?:{'|'.join(KINDS)}):"
_CLOCK_PATTERN = rf"(?:(?:\d+:)?\d{{1,2}}:\d{{1,2}}(?:\.\d+)?|{_NUMBER_PATTERN})"

SPACE = re.compile(r"\s*")
WEIGHT = re.compile(rf"({_NUMBER_PATTERN})(\s*)\*(\s*)")
FACTOR = re.compile(rf"\s*([*/])\s*({_NUMBER_PATTERN})(?![\w.])")
PREFIX = re.compile(r"([A-Za-z_]+):")
KIND_INSIDE = re.compile(rf"(?<![A-Za-z0-9_]){_KIND_PATTERN}(?=\S)")
SPAN = re.compile(rf"@({_CLOCK_PATTERN})-({_CLOCK_PATTERN})?")
INTEGER = re.compile(r"\d+")
SAVED = re.compile(r"@(\w+(?:[.-]\w+)*)")
# What makes an operator of a sign that has no white space behind it.
TERM_AHEAD = re.compile(rf"{_SIGNED_WEIGHT_PATTERN}(?:{_KIND_PATTERN}|[\"(]|@\w)")
KIND_GLUED = re.compile(rf"{_SIGNED_WEIGHT_PATTERN}{_KIND_PATTERN}")
KIND_OR_QUOTE_GLUED = re.compile(rf"{_SIGNED_WEIGHT_PATTERN}(?:{_KIND_PATTERN}|\")")
WEIGHT_AHEAD = re.compile(rf"{_NUMBER_PATTERN}\*\S")

ESCAPE = re.compile(r"\\(?:([\"\\ntr])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
SIMPLE = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}
SYNONYMS = {
    **dict.fromkeys(("photo", "picture", "pic", "img", "file", "jpg", "jpeg", "png"), "image"),
    **dict.fromkeys(("sound", "music", "song", "wav", "mp3", "ogg", "flac"), "audio"),
    **dict.fromkeys(("film", "movie", "clip", "mp4"), "video"),
    **dict.fromkeys(("word", "words", "caption", "txt", "query"), "text"),
    **dict.fromkeys(("segment", "like", "seg"), "id"),
}

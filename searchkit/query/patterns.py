"""What the query grammar is made of: patterns of its words, numbers and signs, and names that people try."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from searchkit.query.algebra import KINDS

__all__ = [
    "ESCAPE",
    "FACTOR",
    "INTEGER",
    "PREFIX",
    "SAVED",
    "SIMPLE",
    "SPACE",
    "SPAN",
    "SYNONYMS",
    "WEIGHT",
    "WEIGHT_AHEAD",
    "KindPatterns",
    "kind_patterns",
]

# Possessive quantifiers keep matching linear on hostile input.
_NUMBER_PATTERN = r"(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?"
_SIGNED_WEIGHT_PATTERN = rf"[+-]{{0,8}}+(?:{_NUMBER_PATTERN}\s*+\*\s*+)?[+-]{{0,8}}+"
_CLOCK_PATTERN = rf"(?:(?:\d+:)?\d{{1,2}}:\d{{1,2}}(?:\.\d+)?|{_NUMBER_PATTERN})"

SPACE = re.compile(r"\s*")
WEIGHT = re.compile(rf"({_NUMBER_PATTERN})(\s*)\*(\s*)")
FACTOR = re.compile(rf"\s*([*/])\s*({_NUMBER_PATTERN})(?![\w.])")
PREFIX = re.compile(r"([A-Za-z_]+):")
SPAN = re.compile(rf"@({_CLOCK_PATTERN})-({_CLOCK_PATTERN})?")
INTEGER = re.compile(r"\d+")
SAVED = re.compile(r"@(\w+(?:[.-]\w+)*)")
WEIGHT_AHEAD = re.compile(rf"{_NUMBER_PATTERN}\*\S")


@dataclass(frozen=True, slots=True)
class KindPatterns:
    """What tells terms from words, for the kinds of term that are known.

    Attributes:
        inside: a term in the midst of words.
        ahead: what makes an operator of a sign that has no white space behind it.
        glued: a term right after a sign.
        or_quote_glued: a term or a quote right after a sign.
    """

    inside: re.Pattern[str]
    ahead: re.Pattern[str]
    glued: re.Pattern[str]
    or_quote_glued: re.Pattern[str]


@lru_cache(maxsize=8)
def kind_patterns(kinds: tuple[str, ...]) -> KindPatterns:
    """The patterns for some kinds; those beyond the usual ones need their value right behind the colon."""
    plugged = "|".join(kind for kind in kinds if kind not in KINDS)
    kind = rf"(?:(?:{'|'.join(KINDS)}):" + (rf"|(?:{plugged}):(?=\S))" if plugged else ")")
    return KindPatterns(
        inside=re.compile(rf"(?<![A-Za-z0-9_]){kind}(?=\S)"),
        ahead=re.compile(rf"{_SIGNED_WEIGHT_PATTERN}(?:{kind}|[\"(]|@\w)"),
        glued=re.compile(rf"{_SIGNED_WEIGHT_PATTERN}{kind}"),
        or_quote_glued=re.compile(rf"{_SIGNED_WEIGHT_PATTERN}(?:{kind}|\")"),
    )


ESCAPE = re.compile(r"\\(?:([\"\\ntr])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
SIMPLE = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}
SYNONYMS = {
    **dict.fromkeys(("photo", "picture", "pic", "img", "file", "jpg", "jpeg", "png"), "image"),
    **dict.fromkeys(("sound", "music", "song", "wav", "mp3", "ogg", "flac"), "audio"),
    **dict.fromkeys(("film", "movie", "clip", "mp4"), "video"),
    **dict.fromkeys(("word", "words", "caption", "txt", "query"), "text"),
    **dict.fromkeys(("segment", "like", "seg"), "id"),
}

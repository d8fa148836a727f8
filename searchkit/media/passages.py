"""Cuts text into passages at paragraphs, sentences and words; knows nothing of files."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["passages"]

_PARAGRAPHS = re.compile(r"\n\s*\n")
# A sentence ends at a stop that white space follows, or at one of East Asian scripts.
_SENTENCES = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")


def passages(text: str, chars: int, overlap_chars: int = 0) -> Iterator[str]:
    """Passages of at most ``chars`` characters that together cover the text, in order.

    Whole paragraphs are kept together where they fit; longer ones are cut between sentences, then between
    words, and only then anywhere. A passage begins with up to ``overlap_chars`` from the end of the one
    before, unless it opens with a new paragraph. White space is squeezed.
    """
    held = ""
    for piece, joint in _pieces(text, chars - overlap_chars if overlap_chars else chars):
        if held and joint and len(held) + len(joint) + len(piece) <= chars:
            held += joint + piece
            continue
        if held:
            yield held
        tail = _tail(held, min(overlap_chars, chars - len(piece) - 1)) if held and joint == " " else ""
        held = f"{tail} {piece}" if tail else piece
    if held:
        yield held


def _pieces(text: str, chars: int) -> Iterator[tuple[str, str]]:
    """Pieces of at most ``chars`` characters, each with what joins it to the piece before, or nothing."""
    for paragraph in _PARAGRAPHS.split(text):
        words = " ".join(paragraph.split())
        if not words:
            continue
        if len(words) <= chars:
            yield words, "\n\n"
            continue
        joint = ""
        for sentence in filter(None, _SENTENCES.split(words)):
            for piece in _cut(sentence, chars):
                yield piece, joint
                joint = " "


def _cut(sentence: str, chars: int) -> Iterator[str]:
    while len(sentence) > chars:
        at = sentence.rfind(" ", 0, chars + 1)
        at = at if at > 0 else chars
        yield sentence[:at].strip()
        sentence = sentence[at:].strip()
    if sentence:
        yield sentence


def _tail(passage: str, chars: int) -> str:
    """The last whole words of a passage that fit into ``chars``."""
    if chars <= 0:
        return ""
    if len(passage) <= chars:
        return passage
    tail = passage[-chars:]
    if not passage[-chars - 1].isspace() and not tail[0].isspace():
        tail = tail.partition(" ")[2]
    return tail.strip()

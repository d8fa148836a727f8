"""Reads subtitles (SubRip, WebVTT) into cues with times; knows nothing of files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape

from searchkit.types import Span, TextSample

__all__ = ["Cue", "read_cues", "subtitle_passages"]

_TIMES = re.compile(
    r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?\s*-->\s*(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?"
)
_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
# A longer silence than this starts a new passage.
_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Cue:
    """A line that is shown for a time."""

    text: str
    span: Span


def read_cues(text: str) -> list[Cue]:
    """All cues with words and a time that makes sense, by start."""
    cues = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().split("\n")
        for row, line in enumerate(lines):
            match = _TIMES.search(line)
            if match is None:
                continue
            words = " ".join(unescape(_MARKUP.sub("", " ".join(lines[row + 1 :]))).split())
            start_s, end_s = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
            if words and start_s < end_s:
                cues.append(Cue(words, Span(start_s, end_s)))
            break
    return sorted(cues, key=lambda cue: cue.span)


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def subtitle_passages(cues: Sequence[Cue], chars: int) -> Iterator[TextSample]:
    """Neighbouring cues merged into passages of up to ``chars`` characters, with the time they cover."""
    lines: list[str] = []
    start_s = end_s = 0.0
    for cue in cues:
        full = sum(map(len, lines)) + len(lines) + len(cue.text) > chars
        if lines and (full or cue.span.start_s - end_s > _PAUSE_S):
            yield TextSample(" ".join(lines), Span(start_s, end_s))
            lines = []
        if not lines:
            start_s, end_s = cue.span.start_s, cue.span.end_s
        # Captions that roll up repeat the line before.
        if not lines or lines[-1] != cue.text:
            lines.append(cue.text)
        end_s = max(end_s, cue.span.end_s)
    if lines:
        yield TextSample(" ".join(lines), Span(start_s, end_s))

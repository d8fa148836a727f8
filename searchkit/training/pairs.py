"""Pairs of things that belong together: a file of JSON lines, checked one by one, the bad ones counted.

A line names two sides, by modality or as ``path`` of any file: ``{"text": "a red mug", "image": "mug.jpg"}``,
``{"text": "...", "path": "any.file"}``, ``{"audio": "bark.wav", "image": "dog.jpg"}``, ``{"text": "...",
"depth": "hall.png"}``. Paths start from the file's folder. ``"match": false`` says that the two do not belong
together.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchkit.errors import DecodeError, EncoderError, QueryError, SearchkitError, UsageError
from searchkit.media import sniff
from searchkit.modality import Modality
from searchkit.types import Sample, TextSample

__all__ = ["Load", "Pair", "PairSet", "Side", "Skipped", "read_pairs", "side_samples"]

Load = Callable[[Path, Modality], Sequence[Sample]]
_MATCH = "match"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a pair: words, a file, or a segment of a library; equal sides are one thing."""

    modality: Modality
    text: str | None = None
    path: Path | None = None
    segment_id: int | None = None

    @property
    def is_words(self) -> bool:
        """Whether it is words that stand in the pairs themselves."""
        return self.text is not None

    def __str__(self) -> str:
        if self.segment_id is not None:
            return f"id:{self.segment_id}"
        return f"{self.modality}:{self.text if self.text is not None else self.path}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides; words come first, and of two files the one whose modality's name comes first."""

    left: Side
    right: Side
    match: bool = True


@dataclass(slots=True)
class Skipped:
    """What was left out, and why.

    Attributes:
        reasons: how many for each reason.
        examples: the first few in full.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, reason: str, where: str) -> None:
        """Count one."""
        self.reasons[reason] += 1
        if len(self.examples) < 10:
            self.examples.append(f"{where}: {reason}")

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(self.reasons.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"count": self.count, "reasons": dict(self.reasons), "examples": self.examples}


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pairs that can be read, and what was left out."""

    pairs: tuple[Pair, ...]
    skipped: Skipped

    def sides(self) -> list[Side]:
        """All sides, each once, in the order in which they come."""
        return list(dict.fromkeys(side for pair in self.pairs for side in (pair.left, pair.right)))

    def without(self, failed: Mapping[Side, str]) -> PairSet:
        """The pairs whose sides could both be embedded; the others are counted."""
        kept = []
        for pair in self.pairs:
            bad = next((side for side in (pair.left, pair.right) if side in failed), None)
            if bad is None:
                kept.append(pair)
            else:
                self.skipped.add(failed[bad], str(bad))
        return PairSet(tuple(kept), self.skipped)


def read_pairs(path: Path, *, plugs: Iterable[str] = ()) -> PairSet:
    """Read a file of pairs; lines that are no pair are counted and left out.

    Args:
        path: JSON lines.
        plugs: modalities whose plugs may claim a file that is given as ``path``.

    Raises:
        UsageError: the file cannot be read, or no line of it is a pair.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{path}: {reason}", hint="give a file of JSON lines: docs/training.md") from error
    skipped = Skipped()
    pairs: dict[tuple[Side, Side], Pair] = {}
    for number, source in enumerate(lines, start=1):
        if not source.strip():
            continue
        try:
            pair = _pair(source, path.parent, tuple(plugs))
        except SearchkitError as error:
            reason = error.reason if isinstance(error, DecodeError) else error.message
            skipped.add(reason, f"line {number}")
            continue
        if (pair.left, pair.right) in pairs:
            skipped.add("the same pair again", f"line {number}")
        pairs.setdefault((pair.left, pair.right), pair)
    if not pairs:
        first = "; ".join(skipped.examples[:3]) or "it is empty"
        raise UsageError(f"{path} holds no pair: {first}", hint="docs/training.md has the form")
    return PairSet(tuple(pairs.values()), skipped)


def _pair(source: str, folder: Path, plugs: Sequence[str]) -> Pair:
    try:
        line = json.loads(source)
    except json.JSONDecodeError:
        raise UsageError("no JSON") from None
    if not isinstance(line, dict):
        raise UsageError("no JSON object")
    match = line.pop(_MATCH, True)
    if not isinstance(match, bool):
        raise UsageError("match is neither true nor false")
    known = {name: value for name, value in line.items() if name == "path" or Modality.named(name)}
    if len(known) != 2:
        raise UsageError("it does not name two sides")
    sides = [_side(name, value, folder, plugs) for name, value in known.items()]
    left, right = sorted(sides, key=lambda side: (not side.is_words, side.modality))
    if left == right:
        raise UsageError("both sides are the same")
    return Pair(left, right, match)


def _side(name: str, value: Any, folder: Path, plugs: Sequence[str]) -> Side:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name} is empty or no string")
    if name == "text":
        return Side(Modality.TEXT, text=value.strip())
    path = folder / value
    if not path.is_file():
        raise UsageError("a file is missing")
    if name != "path":
        return Side(Modality(name), path=path)
    found = sniff(path, plugs=plugs)
    if found is None:
        raise UsageError("a file is of no known kind")
    return Side(found.modality, path=path)


def side_samples(side: Side, load: Load) -> Sequence[Sample]:
    """What to embed for a side; its windows, frames or passages where it has several.

    Raises:
        DecodeError: its file cannot be read.
        QueryError: its file is of another modality, or holds nothing.
    """
    if side.text is not None:
        return [TextSample(side.text)]
    assert side.path is not None
    samples = load(side.path, side.modality)
    if not samples:
        raise QueryError(f"{side.path} holds nothing that can be embedded")
    return samples


def reason_of(error: SearchkitError) -> str:
    """Why a side is left out, in words that others share."""
    if isinstance(error, DecodeError):
        return "a file cannot be read"
    if isinstance(error, QueryError):
        return "a file is of another modality than said"
    return "the model cannot embed a side" if isinstance(error, EncoderError) else error.message

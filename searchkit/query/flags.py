"""Command-line flags as sugar for the algebra; asks the disk only whether a file is really named so."""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Callable, Sequence

from searchkit.errors import QueryError
from searchkit.query.algebra import Query, audio, image, text, video
from searchkit.query.grammar import parse, split_span
from searchkit.query.rocchio import feedback

__all__ = ["from_flags", "split_weight"]

_WEIGHT = re.compile(r"(.*)\^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.DOTALL)


def from_flags(
    text: Sequence[str] = (),
    *,
    audio: Sequence[str] = (),
    image: Sequence[str] = (),
    video: Sequence[str] = (),
    minus_text: Sequence[str] = (),
    minus_audio: Sequence[str] = (),
    minus_image: Sequence[str] = (),
    minus_video: Sequence[str] = (),
    expr: str | Sequence[str] = (),
    like: Sequence[int] = (),
    unlike: Sequence[int] = (),
    read: Callable[[str], Query] = parse,
) -> Query:
    """Sum up what flags ask for, in the order of the parameters here, expressions first.

    Any value may end in a weight: ``bark.wav^0.5``, ``snow^2``; sounds and videos may carry a span before
    it: ``clip.mp4@3.5-7^0.5``. A file that is really named so wins over weight and span.

    Args:
        text: words, taken as they are (no operators in them).
        audio: paths of sounds, as typed.
        image: paths of pictures.
        video: paths of videos.
        minus_text: words to subtract.
        minus_audio: sounds to subtract.
        minus_image: pictures to subtract.
        minus_video: videos to subtract.
        expr: source text of the grammar.
        like: ids of segments to move the sum towards; see ``feedback``.
        unlike: ids of segments to move it away from.
        read: what reads an expression, such as ``Library.parse``, which knows saved queries.

    Raises:
        QueryError: no term at all, or a value that is no term.
        QuerySyntaxError: an expression does not parse.
    """
    expressions = [expr] if isinstance(expr, str) else expr
    parts = [read(source) for source in expressions]
    plus = (_of_text, text), (_of_audio, audio), (_of_image, image), (_of_video, video)
    minus = (
        (_of_text, minus_text),
        (_of_audio, minus_audio),
        (_of_image, minus_image),
        (_of_video, minus_video),
    )
    parts += [make(str(value)) for make, values in plus for value in values]
    parts += [-make(str(value)) for make, values in minus for value in values]
    if not parts and not like and not unlike:
        raise QueryError(
            "the query has no term",
            hint="type words, or give --text, --audio, --image, --video, --like or --expr",
        )
    value = Query(term for part in parts for term in part.terms) if parts else None
    return feedback(value, like, unlike) if value is None or like or unlike else value


def split_weight(value: str) -> tuple[str, float]:
    """Part ``bark.wav^0.5`` into the value and its weight, 1.0 without one.

    Raises:
        QueryError: the weight is not a finite number.
    """
    found = _WEIGHT.fullmatch(value)
    if found is None or not found[1]:
        return value, 1.0
    weight = float(found[2])
    if not math.isfinite(weight):
        raise QueryError(f"{value}: the weight must be a finite number, got {found[2]}")
    return found[1], weight


def _of_text(value: str) -> Query:
    words, weight = split_weight(value)
    return weight * text(words)


def _of_image(value: str) -> Query:
    path, weight = (value, 1.0) if os.path.lexists(value) else split_weight(value)
    return weight * image(path)


def _of_audio(value: str) -> Query:
    return _of_timed(value, audio)


def _of_video(value: str) -> Query:
    return _of_timed(value, video)


def _of_timed(value: str, make: Callable[[str, float, float | None], Query]) -> Query:
    path, weight = (value, 1.0) if os.path.lexists(value) else split_weight(value)
    parts = (path, 0.0, None) if os.path.lexists(path) else split_span(path)
    return weight * make(*parts)

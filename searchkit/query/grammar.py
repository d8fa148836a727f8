r"""The text form of queries: source text in, Query out; knows no file, no encoder and no library.

::

    query   := signed (("+" | "-") signed)*
    signed  := ("+" | "-")* product
    product := NUMBER "*" signed | primary (("*" | "/") NUMBER)*
    primary := "(" query ")" | KIND ":" value | "@" NAME | QUOTED | WORDS
    KIND    := text | image | audio | video | id | MODALITY

- WORDS need no quotes: ``dog in snow`` is ``text:"dog in snow"``. A ``+`` or ``-`` among them is an
  operator with white space on both sides, or when white space precedes and a KIND, a quote, a bracket or a
  weight follows, or right before a KIND; ``t-shirt``, ``C++`` and ``at -5 degrees`` are words.
  ``dog -cat`` could be either, and is refused.
- A path ends at white space, unless quoted: ``image:"my cat.jpg"``. A span in seconds or minutes follows
  it: ``video:clip.mp4@3.5-7``, ``audio:"long talk.ogg"@1:30-2:00``, ``video:clip.mp4@60-`` to the end.
- ``"..."`` knows the escapes ``\" \\ \n \t \r \uXXXX \UXXXXXXXX``; ``'...'`` takes everything as it is.
- A weight goes through brackets: ``0.5*(a - b)`` is ``0.5*a - 0.5*b``.
- MODALITY is one that a plug adds, such as ``depth``; its value stands right behind the colon.
- ``@barks`` stands for the query that was saved under that name, in brackets.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

from searchkit.errors import QueryError, QuerySyntaxError
from searchkit.modality import Modality
from searchkit.query import patterns
from searchkit.query.algebra import (
    KINDS,
    Audio,
    Image,
    Operand,
    Query,
    Reading,
    Segment,
    Term,
    Text,
    Video,
    known_kinds,
)

__all__ = ["parse", "split_span"]

_MAX_DEPTH = 100


def parse(source: str, *, saved: Mapping[str, Query] | None = None) -> Query:
    """Read a query's source text; ``parse(str(query)) == query`` for every query.

    Args:
        source: the text.
        saved: the queries that ``@NAME`` stands for; None where nothing can be saved.

    Raises:
        QuerySyntaxError: it does not parse; ``column`` says where, ``hint`` what to type.
    """
    return Query(_Parser(source, saved).parse())


def split_span(path: str) -> tuple[str, float, float | None]:
    """Part ``clip.mp4@3.5-7`` into the path, start_s and end_s (None: to the end).

    Without a span it is (path, 0.0, None).
    """
    at = path.rfind("@")
    found = patterns.SPAN.fullmatch(path, at) if at > 0 else None
    return (path[:at], *_span_s(found)) if found else (path, 0.0, None)


def _span_s(found: re.Match[str]) -> tuple[float, float | None]:
    return _clock_s(found[1]), None if found[2] is None else _clock_s(found[2])


def _clock_s(clock: str) -> float:
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


class _Parser:
    """Recursive descent over one source text; ``at`` is the place of the next character to read."""

    def __init__(self, source: str, saved: Mapping[str, Query] | None = None) -> None:
        self.source = source
        self.saved = saved
        self.at = 0
        self.depth = 0
        for prefix in patterns.PREFIX.finditer(source):
            if prefix[1].lower() not in KINDS:
                Modality.named(prefix[1].lower())
        self.kinds = patterns.kind_patterns(known_kinds())

    def parse(self) -> list[Term]:
        self._skip_space()
        if self._ended():
            raise self._error("the query is empty", hint='type words, or a sum like audio:bark.wav + "snow"')
        terms = self._sum()
        if not self._ended():
            raise self._error("this ) closes nothing", hint="remove it, or put the words in double quotes")
        return terms

    # What lies ahead.

    def _ended(self) -> bool:
        return self.at >= len(self.source)

    def _next(self, offset: int = 0) -> str:
        return self.source[self.at + offset : self.at + offset + 1]

    def _skip_space(self) -> None:
        found = patterns.SPACE.match(self.source, self.at)
        self.at = found.end() if found else self.at

    def _error(self, message: str, *, at: int | None = None, hint: str = "") -> QuerySyntaxError:
        # One printable character a place keeps the caret under the right one, whatever the source holds.
        shown = "".join(
            char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in self.source
        )
        return QuerySyntaxError(message, text=shown, column=(self.at if at is None else at) + 1, hint=hint)

    # The grammar's rules, outermost first.

    def _sum(self) -> list[Term]:
        terms = self._signed()
        while True:
            self._skip_space()
            if self._ended() or self._next() == ")":
                return terms
            if self._next() not in ("+", "-"):
                raise self._error(
                    "a + or - is missing before this",
                    hint='put + or - between terms; quote what has spaces: image:"my cat.jpg", "dog in snow"',
                )
            terms += self._signed()

    def _signed(self) -> list[Term]:
        sign = 1.0
        while True:
            self._skip_space()
            if not self._at_unary():
                break
            sign = -sign if self._next() == "-" else sign
            self.at += 1
        return self._scaled(self._product(), sign)

    def _at_unary(self) -> bool:
        if self._next() not in ("+", "-"):
            return False
        after = self._next(1)
        if after.isdigit() or after == ".":
            weight = patterns.WEIGHT.match(self.source, self.at + 1)
            return weight is not None and self._is_weight(weight)
        return True

    def _product(self) -> list[Term]:
        weight = patterns.WEIGHT.match(self.source, self.at)
        if weight is None or not self._is_weight(weight):
            return self._with_factors(*self._primary())
        start = self.at
        self.at = weight.end()
        if self._ended():
            raise self._error("a term is missing after the *", hint=f'write {weight[1]}*text:"words"')
        self._descend()
        terms = self._scaled(self._signed(), self._number(weight[1], start))
        self.depth -= 1
        return terms

    def _is_weight(self, found: re.Match[str]) -> bool:
        """``0.5*dog`` is weighted; ``5 * dog`` and ``5* hotel`` are words unless a term's sign follows."""
        if found.end() >= len(self.source) or not (found[2] or found[3]):
            return True
        return self.kinds.ahead.match(self.source, found.end()) is not None

    def _with_factors(self, terms: list[Term], closed: bool) -> list[Term]:
        """Trailing ``*0.5`` and ``/2``, where words cannot swallow them."""
        while closed and (found := patterns.FACTOR.match(self.source, self.at)):
            number = self._number(found[2], found.start(2))
            if found[1] == "/" and number == 0:
                raise self._error("a query cannot be divided by zero", at=found.start(2))
            terms = self._scaled(terms, number) if found[1] == "*" else self._divided(terms, number)
            self.at = found.end()
        return terms

    def _primary(self) -> tuple[list[Term], bool]:
        """The terms of one operand or bracket, and whether its end is marked (it is not for bare words)."""
        start = self.at
        if self._ended() or self._next() == ")":
            raise self._error("a term is missing here", hint='type one, such as text:"dog" or image:cat.jpg')
        if self._next() == "(":
            return self._group(), True
        if reference := patterns.SAVED.match(self.source, self.at):
            return self._recalled(reference), True
        prefix = patterns.PREFIX.match(self.source, self.at)
        if prefix and (prefix[1].lower() in KINDS or self.source[prefix.end() : prefix.end() + 1].strip()):
            kind = self._kind(prefix)
            self.at = prefix.end()
            self._skip_space()
            operand, closed = self._operand(kind, start)
        else:
            operand, closed = self._text(start)
        return [Term(1.0, operand)], closed

    def _group(self) -> list[Term]:
        opened = self.at
        self._descend()
        self.at += 1
        terms = self._sum()
        if self._next() != ")":
            raise self._error("this ( is never closed", at=opened, hint="add a ) at the end of the sum")
        self.at += 1
        self.depth -= 1
        return terms

    def _recalled(self, reference: re.Match[str]) -> list[Term]:
        if self.saved is None or reference[1] not in self.saved:
            near = difflib.get_close_matches(reference[1], self.saved or (), n=1)
            known = f"did you mean @{near[0]}? " if near else "`searchkit saved` lists them; "
            raise self._error(
                f"no query is saved as {reference[1]!r}",
                hint=f'{known}for words, put all of them in double quotes: "{reference[0]}"',
            )
        self.at = reference.end()
        return list(self.saved[reference[1]].terms)

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._error(f"more than {_MAX_DEPTH} brackets or weights inside one another")

    # Operands.

    def _kind(self, prefix: re.Match[str]) -> str:
        name = prefix[1].lower()
        known = known_kinds()
        if name in known:
            return name
        near = patterns.SYNONYMS.get(name) or next(iter(difflib.get_close_matches(name, known, n=1)), "")
        words = 'put the words in double quotes if you mean words: "..."'
        hint = f"did you mean {near}: ? If not, {words}" if near else f"use {', '.join(known)}; {words}"
        raise self._error(f"no term is called {prefix[1]!r}", hint=hint)

    def _operand(self, kind: str, start: int) -> tuple[Operand, bool]:
        if kind == "text":
            return self._text(start)
        value_at = self.at
        if kind == "id":
            value = self._word()
            if not patterns.INTEGER.fullmatch(value) or not value.isascii():
                raise self._error(
                    f"an id is a whole number, got {value!r}",
                    at=value_at,
                    hint="ids are what `--json` shows: id:123",
                )
            return self._checked(value_at, lambda: Segment(int(value))), True
        quoted = self._next() in ("'", '"') and self._next()
        path = self._quoted() if quoted else self._word()
        if not path:
            raise self._error(
                f"a file name is missing after {kind}:", hint=f"type a path, such as {kind}:FILE"
            )
        if kind == "image":
            return self._checked(value_at, lambda: Image(path)), True
        start_s, end_s = 0.0, None
        if not quoted:
            path, start_s, end_s = split_span(path)
        elif found := patterns.SPAN.match(self.source, self.at):
            start_s, end_s = _span_s(found)
            self.at = found.end()
        if kind not in KINDS:
            return self._checked(value_at, lambda: Reading(Modality(kind), path, start_s, end_s)), True
        timed = Audio if kind == "audio" else Video
        return self._checked(value_at, lambda: timed(path, start_s, end_s)), True

    def _checked(self, at: int, make: Callable[[], Operand]) -> Operand:
        try:
            return make()
        except QueryError as error:
            raise self._error(error.message, at=at, hint=error.hint) from None

    def _text(self, start: int) -> tuple[Operand, bool]:
        opened = self.at
        if quote := self._quote_closes():
            content = self._quoted()
            self._skip_space()
            if self._ended() or self._next() in "+-*/)":
                return self._checked(opened, lambda: Text(content)), True
            self.at = opened
        elif self._next() == '"' and not quote:
            raise self._error("this quote is never closed", hint='add a " at the end of the words')
        words = self._words()
        if not words:
            raise self._error("words are missing here", at=start, hint='type some: text:"dog in snow"')
        return self._checked(opened, lambda: Text(words)), False

    # Characters.

    def _quote_closes(self) -> str:
        """The quote at this place when it has a partner, otherwise ""."""
        mark = self._next()
        if mark not in ("'", '"') or not mark:
            return ""
        pattern = r'"(?:[^"\\]|\\.)*"' if mark == '"' else r"'[^']*'"
        return mark if re.compile(pattern, re.DOTALL).match(self.source, self.at) else ""

    def _quoted(self) -> str:
        opened, mark = self.at, self._next()
        if not self._quote_closes():
            raise self._error("this quote is never closed", hint=f"add a {mark} at its end")
        parts = []
        self.at += 1
        while (char := self._next()) != mark:
            if char == "\\" and mark == '"':
                parts.append(self._escape(opened))
            else:
                parts.append(char)
                self.at += 1
        self.at += 1
        return "".join(parts)

    def _escape(self, opened: int) -> str:
        found = patterns.ESCAPE.match(self.source, self.at)
        code = int(found[2] or found[3], 16) if found and not found[1] else 0
        if found is None or code > 0x10FFFF:
            raise self._error(
                "a backslash in double quotes starts an escape, and this is none",
                hint=r"double it (\\) for a backslash, or use single quotes, which take everything as it is",
            )
        self.at = found.end()
        return patterns.SIMPLE[found[1]] if found[1] else chr(code)

    def _word(self) -> str:
        """Characters up to white space, an operator before a term, or a bracket not opened in it."""
        start, inner = self.at, 0
        while not self._ended():
            char = self._next()
            if char.isspace():
                break
            if char in "+-" and self.at > start and self.kinds.or_quote_glued.match(self.source, self.at + 1):
                break
            inner += (char == "(") - (char == ")")
            if inner < 0:
                break
            self.at += 1
        return self.source[start : self.at]

    def _words(self) -> str:
        """Bare words up to an operator; their white space becomes single blanks."""
        words: list[str] = []
        inner = 0
        while not self._ended():
            if words and self._next() in ("+", "-") and self._operator_between_words():
                break
            start = self.at
            if not words and self._quote_closes():
                self._quoted()
            while not self._ended() and not self._next().isspace():
                if (
                    self._next() in "+-"
                    and self.at > start
                    and self.kinds.glued.match(self.source, self.at + 1)
                ):
                    break
                change = (self._next() == "(") - (self._next() == ")")
                if inner + change < 0:
                    break
                inner += change
                self.at += 1
            word = self.source[start : self.at]
            self._check_word(word, start, first=not words)
            if word:
                words.append(word)
            if not self._next().isspace():
                break
            self._skip_space()
        return " ".join(" ".join(words).split())

    def _operator_between_words(self) -> bool:
        after = self._next(1)
        if not after or after.isspace() or self.kinds.ahead.match(self.source, self.at + 1):
            return True
        if after.isdigit() or after == ".":
            return patterns.WEIGHT_AHEAD.match(self.source, self.at + 1) is not None
        if after.isalpha():
            sign, verb = self._next(), "subtract" if self._next() == "-" else "add"
            word = self.source[self.at + 1 :].split(maxsplit=1)[0]
            raise self._error(
                f"is this {sign} an operator or part of the words?",
                hint=f"to {verb}, put a space behind it: {sign} {word}; for words, quote all of them",
            )
        return False

    def _check_word(self, word: str, start: int, *, first: bool) -> None:
        if found := self.kinds.inside.search(word):
            raise self._error(
                f"a + or - is missing before {found[0]}",
                at=start + found.start(),
                hint="put + or - between terms, and weights as 0.5*; or put the words in double quotes",
            )
        prefix = patterns.PREFIX.match(word)
        if prefix and not first and len(word) > prefix.end() and prefix[1].lower() not in known_kinds():
            self.at = start
            self._kind(prefix)

    def _number(self, number: str, at: int) -> float:
        value = float(number)
        if value == float("inf"):
            raise self._error("this number is too large", at=at)
        return value

    def _scaled(self, terms: list[Term], factor: float) -> list[Term]:
        return terms if factor == 1 else [Term(term.weight * factor, term.operand) for term in terms]

    def _divided(self, terms: list[Term], divisor: float) -> list[Term]:
        return [Term(term.weight / divisor, term.operand) for term in terms]

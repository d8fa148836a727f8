"""Texts: a file of any encoding and kind becomes passages; knows no encoder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from searchkit.errors import DecodeError
from searchkit.media.charset import decode_text
from searchkit.media.decoded import Facts
from searchkit.media.files import check_size, decoding, open_regular, printable
from searchkit.media.html import read_html
from searchkit.media.passages import passages
from searchkit.media.settings import DecodeSettings
from searchkit.media.subtitles import read_cues, subtitle_passages
from searchkit.types import TextSample

__all__ = ["text_facts", "text_samples"]

_SUBTITLES = ("application/x-subrip", "text/vtt")


def text_facts(path: Path, settings: DecodeSettings, mime: str) -> Facts:
    """Title of a document, length of subtitles.

    Raises:
        DecodeError: it cannot be read, or is too big.
    """
    if mime == "application/pdf":
        from searchkit.media.pdf import pdf_facts

        return pdf_facts(path, settings)
    with decoding(path, "text"):
        text = _read(path, settings)
        if mime in _SUBTITLES:
            return Facts(duration_s=max((cue.span.end_s for cue in read_cues(text)), default=None))
        title = ""
        if mime == "text/html":
            title = read_html(text)[0]
        elif mime == "text/markdown":
            title = _markdown_title(text)
        return Facts(title=printable(title) or None)


def text_samples(path: Path, settings: DecodeSettings, mime: str) -> Iterator[TextSample]:
    """Passages of up to ``settings.passage_chars``; those of subtitles have spans.

    Raises:
        DecodeError: it cannot be read, is too big, or holds no words.
    """
    with decoding(path, "text"):
        empty = True
        for sample in _samples(path, settings, mime):
            empty = False
            yield sample
    if empty:
        raise DecodeError(path, "it holds no text")


def _samples(path: Path, settings: DecodeSettings, mime: str) -> Iterator[TextSample]:
    chars, overlap_chars = settings.passage_chars, settings.passage_overlap_chars
    if mime == "application/pdf":
        from searchkit.media.pdf import read_pdf

        text = read_pdf(path, settings)
    else:
        text = _read(path, settings)
    if mime in _SUBTITLES:
        yield from subtitle_passages(read_cues(text), chars)
        return
    if mime == "text/html":
        text = read_html(text)[1]
    elif mime == "text/markdown":
        text = _plain_markdown(text)
    for passage in passages(text, chars, overlap_chars):
        yield TextSample(passage)


def _read(path: Path, settings: DecodeSettings) -> str:
    with open_regular(path) as file:
        check_size(path, file, settings.max_text_bytes, "max_text_bytes")
        text = decode_text(file.read())
    if text is None:
        raise DecodeError(path, "it is no text that can be read (neither UTF-8, UTF-16 nor Latin-1)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_LINE_MARKS = re.compile(r"^ {0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+|```.*$|~~~.*$|(?:[-*_] *){3,}$)", re.MULTILINE)


def _markdown_title(text: str) -> str:
    match = re.search(r"^#\s+(.+?)\s*#*\s*$", text, re.MULTILINE)
    return _plain_markdown(match[1]).strip() if match else ""


def _plain_markdown(text: str) -> str:
    """Markdown as one reads it aloud: words of links and pictures stay, marks and addresses go."""
    text = _FRONT_MATTER.sub("", text)
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)", r"\1", text)
    text = _LINE_MARKS.sub("", text)
    return re.sub(r"(\*\*|__|`+|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", text)

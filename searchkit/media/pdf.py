"""Reads the words of PDF documents by pypdf, an optional package."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchkit.errors import DecodeError
from searchkit.media.decoded import Facts
from searchkit.media.files import check_size, decoding, open_regular, printable
from searchkit.media.settings import DecodeSettings

__all__ = ["pdf_facts", "read_pdf"]


def pdf_facts(path: Path, settings: DecodeSettings) -> Facts:
    """The title of a document.

    Raises:
        DecodeError: it cannot be read, is locked or too big, or pypdf is not installed.
    """
    with _open_pdf(path, settings) as reader:
        title = reader.metadata.title if reader.metadata else None
        return Facts(title=printable(str(title)).strip() or None if title else None)


def read_pdf(path: Path, settings: DecodeSettings) -> str:
    """The words of all pages, an empty line between pages.

    Raises:
        DecodeError: as ``pdf_facts``.
    """
    with _open_pdf(path, settings) as reader:
        pages, chars = [], 0
        for page in reader.pages:
            words = page.extract_text()
            chars += len(words)
            if chars > settings.max_text_bytes:
                raise DecodeError(path, "it holds more text than max_text_bytes allows")
            pages.append(words)
        return "\n\n".join(pages)


@contextmanager
def _open_pdf(path: Path, settings: DecodeSettings) -> Iterator[Any]:
    try:
        import pypdf
    except ImportError as error:
        raise DecodeError(
            path, "reading PDF documents needs the package pypdf", hint="pip install 'searchkit[pdf]'"
        ) from error
    # Without a handler, logging would print its complaints; an application that wants them has one.
    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    with open_regular(path) as file, decoding(path, "PDF document"):
        check_size(path, file, settings.max_bytes, "max_bytes")
        reader = pypdf.PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DecodeError(path, "the PDF document is locked with a password")
        yield reader

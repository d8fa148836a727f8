"""What tests of several machines share: a server for vectors, and a folder that must be there once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import searchkit as sk
from tests.media_files import write_text
from tests.stores.qdrant_server import QdrantServer


@pytest.fixture
def qdrant() -> Iterator[str]:
    server = QdrantServer()
    yield f"qdrant://127.0.0.1:{server.port}"
    server.close()


def write_notes(folder: Path, count: int) -> Path:
    """So many texts in some folders, and a broken picture."""
    for number in range(count):
        write_text(folder / f"{number % 7}" / f"{number}.txt", f"Note {number} about a harbour.")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    return folder


def check_notes_are_there_once(library: sk.Library, count: int) -> None:
    assert library.verify().clean
    results = library.search("a harbour", to="text", k=10 * count, spans=True)
    counts = Counter(result.path.name for result in results)
    assert len(counts) == count
    assert set(counts.values()) == {1}
    assert [Path(error.path).name for error in library.errors()] == ["broken.jpg"]

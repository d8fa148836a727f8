"""The MCP server, spoken to by the protocol's own client over standard input and output."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from PIL import Image

from searchkit.library import Library
from tests.web.conftest import PATIENCE_S


def call(library: Library, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """Names of the tools, and what each call gave."""
    command = ["-m", "searchkit", "mcp", "--library", str(library.folder)]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))

    async def talk() -> tuple[list[str], list[Any]]:
        with anyio.fail_after(PATIENCE_S):
            async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
                await session.initialize()
                tools = await session.list_tools()
                return [tool.name for tool in tools.tools], [
                    await session.call_tool(name, arguments) for name, arguments in calls
                ]

    return anyio.run(talk)


def test_an_assistant_can_search_look_and_be_told_what_is_wrong(library: Library) -> None:
    expected = library.search("a dog", to="image", k=3)
    names, (found, looked, read, wrong, status) = call(
        library,
        ("search", {"query": "a dog", "kinds": ["image"], "k": 3}),
        ("look", {"segment_id": expected[0].segment_id}),
        ("look", {"segment_id": library.search("bells", to="text", k=1)[0].segment_id}),
        ("search", {"query": "(dog"}),
        ("library_status", {}),
    )
    assert {"search", "look", "library_status", "unreadable_files"} <= set(names)
    rows = json.loads(found.content[0].text)["results"]
    assert [row["segment_id"] for row in rows] == [result.segment_id for result in expected]
    picture = Image.open(io.BytesIO(base64.b64decode(looked.content[1].data)))
    assert max(picture.size) <= 768
    assert read.content[1].text
    assert wrong.is_error
    assert "never closed" in wrong.content[0].text
    assert json.loads(status.content[0].text)["assets"]["video"] == 2


@pytest.mark.parametrize("segment_id", [10**9])
def test_only_segments_of_the_library_can_be_looked_at(library: Library, segment_id: int) -> None:
    _, (answer,) = call(library, ("look", {"segment_id": segment_id}))
    assert answer.is_error


def test_the_library_stays_as_it_is(small: tuple[Path, Library]) -> None:
    before = small[1].status().to_dict()
    call(small[1], ("search", {"query": "snow"}))
    assert small[1].status().to_dict() == before


def test_names_that_are_no_text_and_ids_that_no_segment_has_are_answered(small: tuple[Path, Library]) -> None:
    folder, library = small
    (folder / "no\udcfftext.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    library.index(folder)
    _, (failures, looked) = call(library, ("unreadable_files", {}), ("look", {"segment_id": 10**30}))
    assert not failures.is_error
    assert "no\ufffdtext.jpg" in failures.content[0].text
    assert looked.is_error
    assert "segment_id" in looked.content[0].text

"""A library as tools for assistants, over the Model Context Protocol (modelcontextprotocol.io)."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent, ToolAnnotations
from PIL import Image
from pydantic import Field

from searchkit._version import __version__
from searchkit.catalog import segments
from searchkit.errors import SearchkitError
from searchkit.library import Library
from searchkit.media.isolate import DecoderPool
from searchkit.types import ImageSample, Modality, safe_text

__all__ = ["create_mcp_server"]

_ABOUT = """Searches the user's own photos, sounds, videos and texts.

`search` takes plain words, or a weighted sum of terms: `text:"dog" + 0.5*id:34 - 0.3*text:"night"`, where
`id:N` is the segment_id of a result ("more like this"). `match` is the probability that a result is a match;
below 0.5 it probably is none, so say so instead of pretending. Filters: `type:jpg`, `date>=2019`,
`path:2019/**`, `duration_s<10`, `tag:holiday`, joined by AND, OR, NOT."""
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_SHOWN_PX = 768


def create_mcp_server(library: Library) -> MCPServer[Any]:
    """A server with the tools ``search``, ``look``, ``library_status``, ``unreadable_files``.

    Only files of the library can be looked at. The caller closes the library.

    Args:
        library: an open library.
    """
    server: MCPServer[Any] = MCPServer(
        "searchkit", version=__version__, instructions=_ABOUT, log_level="ERROR"
    )

    @server.tool(annotations=_READS, structured_output=False)
    def search(
        query: Annotated[str, Field(description="Words, or a sum of terms.")],
        kinds: Annotated[
            list[str] | None, Field(description="What to find: text, image, audio, video; all without it.")
        ] = None,
        where: Annotated[str | None, Field(description="Only these files, as a filter.")] = None,
        k: Annotated[int, Field(ge=1, le=50, description="How many results at most.")] = 10,
        every_span: Annotated[bool, Field(description="Every matching moment of long media.")] = False,
    ) -> dict[str, Any]:
        """Find photos, sounds, videos and texts by what is in them."""
        with _told():
            found = library.search(query, to=kinds, k=k, where=where, spans=every_span)
        return dict(_safe(found.to_dict()))

    @server.tool(annotations=_READS, structured_output=False)
    def look(
        segment_id: Annotated[int, Field(ge=0, lt=1 << 63, description="The segment_id of a result.")],
    ) -> list[ImageContent | TextContent]:
        """See a photo or a moment of a video, or read a passage of a text."""
        with library.catalog.read() as connection:
            row = segments.join(connection, [segment_id]).get(segment_id)
        if row is None:
            raise ToolError(f"the library has no segment {segment_id}; take the segment_id of a result")
        told = TextContent(type="text", text=safe_text(f"{row.path} ({row.modality.value})"))
        if row.text is not None:
            return [told, TextContent(type="text", text=row.text)]
        if row.modality is Modality.AUDIO:
            return [told]
        with _told():
            return [told, _picture(library, row.path, row.start_s)]

    @server.tool(annotations=_READS, structured_output=False)
    def library_status() -> dict[str, Any]:
        """How many files of each kind the library holds, and from which folders."""
        return dict(_safe(library.status().to_dict()))

    @server.tool(annotations=_READS, structured_output=False)
    def unreadable_files(
        limit: Annotated[int, Field(ge=1, le=200)] = 50,
    ) -> list[dict[str, str]]:
        """Files that could not be indexed, and why."""
        failures = library.errors()[:limit]
        return [{"path": safe_text(one.path), "reason": safe_text(one.reason)} for one in failures]

    return server


def _safe(value: Any) -> Any:
    """An answer that JSON can carry, whatever bytes the names of files are made of."""
    if isinstance(value, dict):
        return {name: _safe(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_safe(part) for part in value]
    return safe_text(value) if isinstance(value, str) else value


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """An error of ours is an answer to the assistant, with what to do next, and no crash."""
    try:
        yield
    except SearchkitError as error:
        raise ToolError(safe_text(f"{error.message}\n{error.hint}".strip())) from None


def _picture(library: Library, path: str, start_s: float | None) -> ImageContent:
    """A picture, or the frame that a video shows at a time, as JPEG; decoded in a process of its own."""
    chosen: ImageSample | None = None
    with DecoderPool(1) as pool:
        for sample in pool.open_media(path, library.decode_settings).samples:
            if not isinstance(sample, ImageSample):
                break
            if chosen is None or (sample.span and start_s is not None and sample.span.start_s <= start_s):
                chosen = sample
    if chosen is None:
        raise SearchkitError(f"{path} has no picture")
    picture = Image.fromarray(chosen.pixels)
    picture.thumbnail((_SHOWN_PX, _SHOWN_PX))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return ImageContent(type="image", data=base64.b64encode(out.getvalue()).decode(), mime_type="image/jpeg")

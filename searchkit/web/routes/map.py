"""``/v1/map``: the library laid out in two dimensions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from searchkit.errors import Unavailable
from searchkit.web.library_models import MapInfo
from searchkit.web.map import MapState
from searchkit.web.served import ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1/map", tags=["library"])

_POINTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "Points; see searchkit/web/map.py."},
    304: {"description": "It did not change."},
}


@router.get("")
def state(served: ServedLibrary) -> MapInfo:
    """How far the map is."""
    return _info(served.map.state())


@router.post("", status_code=202)
def start(served: ServedLibrary) -> MapInfo:
    """Lay the library out in the background, unless the map is current."""
    served.map.start()
    return _info(served.map.state())


@router.get("/points", responses=_POINTS, response_class=Response)
def points(
    served: ServedLibrary, if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Response:
    """All points, as packed little-endian arrays."""
    content = served.map.read()
    if not content:
        raise Unavailable("there is no map yet", status=404, hint="POST /v1/map makes one")
    etag = f'"{served.map.version(content)}"'
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/octet-stream", headers=headers)


def _info(found: MapState) -> MapInfo:
    return MapInfo(
        state=found.state,
        points=found.points,
        share_done=found.share_done,
        is_current=found.is_current,
        reason=found.reason,
    )

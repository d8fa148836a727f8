"""``/v1/assets`` and ``/v1/segments``: files of the library, their parts, their bytes and their pictures."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Response
from starlette.responses import FileResponse

from searchkit.catalog import details
from searchkit.catalog.details import AssetDetails, SpanRow
from searchkit.types import Modality
from searchkit.web.files import readable_file, served_type
from searchkit.web.models import AssetInfo, SegmentInfo, SegmentSpan
from searchkit.web.problems import safe_text
from searchkit.web.renderings import SIZES_PX
from searchkit.web.served import Served, ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["library"])

AssetKey = Annotated[int, Path(ge=0, lt=2**63, description="An asset_id of a result.", examples=[12])]
SegmentKey = Annotated[int, Path(ge=0, lt=2**63, description="A segment_id of a result.", examples=[34])]
SizePx = Annotated[int, Query(ge=1, le=1280, description=f"Shorter side at most; rounded up to {SIZES_PX}.")]
IfNoneMatch = Annotated[str | None, Header(include_in_schema=False)]
_KEEP = "private, max-age=604800, stale-while-revalidate=2592000"
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": {}}, "description": "The file."},
    206: {"content": {"*/*": {}}, "description": "The range that was asked for."},
    416: {"description": "The file has no such range."},
}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}}, "description": "The picture."},
    304: {"description": "It did not change."},
}
_WAVE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/json": {"example": {"duration_s": 2.5, "peaks": [0, 12, 100]}}},
        "description": "Loudness over time, 0 to 100.",
    },
    304: {"description": "It did not change."},
}


@router.get("/assets/{asset_id}")
def asset(asset_id: AssetKey, served: ServedLibrary) -> AssetInfo:
    """What is known of a file, with the parts of it that searches find."""
    return _info(served, served.asset(asset_id))


@router.get("/segments/{segment_id}")
def segment(segment_id: SegmentKey, served: ServedLibrary) -> SegmentInfo:
    """A segment and its file."""
    found, span = served.segment(segment_id)
    return SegmentInfo(segment=_span(span), asset=_info(served, found))


@router.get("/assets/{asset_id}/media", responses=_BYTES, response_class=FileResponse)
@router.head("/assets/{asset_id}/media", include_in_schema=False)
def media(
    asset_id: AssetKey,
    served: ServedLibrary,
    download: Annotated[bool, Query(description="Save it instead of showing it.")] = False,
) -> Response:
    """The bytes of a file; takes Range and If-Range."""
    found = served.asset(asset_id)
    file = readable_file(found)
    mime, is_shown = served_type(found.mime)
    disposition = "inline" if is_shown and not download else "attachment"
    name = quote(FilePath(safe_text(found.path)).name, safe="")
    return FileResponse(
        file.path,
        media_type=mime,
        stat_result=file.stat,
        headers={
            "content-disposition": f"{disposition}; filename*=UTF-8''{name}",
            "cache-control": "private, no-cache",
        },
    )


@router.get("/assets/{asset_id}/thumbnail", responses=_PICTURE, response_class=Response)
async def asset_thumbnail(
    asset_id: AssetKey,
    served: ServedLibrary,
    at_s: Annotated[float, Query(ge=0, le=1e7, description="Which moment of a video.")] = 0.0,
    size: SizePx = 320,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A small picture of a photo, or of a moment of a video."""
    return await served.rendered(
        lambda: _thumbnail(served, served.asset(asset_id), at_s, size, if_none_match)
    )


@router.get("/segments/{segment_id}/thumbnail", responses=_PICTURE, response_class=Response)
async def segment_thumbnail(
    segment_id: SegmentKey, served: ServedLibrary, size: SizePx = 320, if_none_match: IfNoneMatch = None
) -> Response:
    """A small picture of a segment: of its photo, or of the frame of a video that it stands for."""

    def make() -> Response:
        found, span = served.segment(segment_id)
        return _thumbnail(served, found, span.start_s, size, if_none_match)

    return await served.rendered(make)


@router.get("/assets/{asset_id}/waveform", responses=_WAVE, response_class=Response)
async def waveform(asset_id: AssetKey, served: ServedLibrary, if_none_match: IfNoneMatch = None) -> Response:
    """How loud a sound is over time."""
    content, version = await served.rendered(lambda: served.renderings.waveform(served.asset(asset_id)))
    return _versioned(content, "application/json", version, if_none_match)


@router.get(
    "/assets/{asset_id}/clip",
    responses={200: {"content": {"audio/wav": {}}, "description": "The clip."}},
    response_class=Response,
)
async def clip(
    asset_id: AssetKey,
    served: ServedLibrary,
    start_s: Annotated[float, Query(ge=0, le=1e7)] = 0.0,
    end_s: Annotated[float | None, Query(gt=0, le=1e7)] = None,
) -> Response:
    """Up to two minutes of a sound as WAV, for players that do not know the file's own format."""
    content = await served.rendered(lambda: served.renderings.clip(served.asset(asset_id), start_s, end_s))
    return Response(content, media_type="audio/wav")


def _thumbnail(
    served: Served, found: AssetDetails, at_s: float | None, size: int, if_none_match: str | None
) -> Response:
    size_px = next(step for step in SIZES_PX if step >= size)
    content, version = served.renderings.thumbnail(found, at_s, size_px)
    return _versioned(content, "image/webp", version, if_none_match)


def _versioned(content: bytes, mime: str, version: str, if_none_match: str | None) -> Response:
    etag = f'"{version}"'
    headers = {"etag": etag, "cache-control": _KEEP}
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if etag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=mime, headers=headers)


def _info(served: Served, found: AssetDetails) -> AssetInfo:
    space_id = served.space_id()
    spans: list[SpanRow] = []
    if space_id is not None:
        with served.library.catalog.read() as connection:
            spans = details.segments_of(connection, found.id, space_id)
    path = safe_text(found.path)
    return AssetInfo(
        asset_id=found.id,
        path=path,
        name=FilePath(path).name,
        modality=None if found.modality is None else Modality.stored(found.modality),
        mime=found.mime,
        size_bytes=found.size_bytes,
        date=found.date,
        added_at=found.added_at,
        width_px=found.width_px,
        height_px=found.height_px,
        duration_s=found.duration_s,
        facts=found.facts,
        tags=list(found.tags),
        segments=[_span(span) for span in spans],
    )


def _span(span: SpanRow) -> SegmentSpan:
    return SegmentSpan(
        segment_id=span.segment_id,
        encoded_as=span.encoded_as,
        start_s=span.start_s,
        end_s=span.end_s,
        text=span.text,
    )

"""``/v1/uploads``: media to search with, kept for a while so that an address with them can be shared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Path, UploadFile
from starlette.responses import FileResponse, Response

from searchkit.errors import Unavailable
from searchkit.preview import plugged_picture
from searchkit.types import ImageSample, Modality
from searchkit.web.files import served_type
from searchkit.web.models import UploadInfo
from searchkit.web.renderings import peaks_of, thumbnail_webp
from searchkit.web.served import Served, ServedLibrary
from searchkit.web.uploads import Upload

__all__ = ["router"]

router = APIRouter(prefix="/v1/uploads", tags=["search"])

UploadId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="What follows `upload/` in an id.")]
_PREVIEW_PX = 320


@router.post("", status_code=201)
async def upload(
    file: Annotated[UploadFile, File(description="A picture, a sound or a video.")], served: ServedLibrary
) -> UploadInfo:
    """Keep a picture, a sound or a video; put its ``source`` into a query."""
    content = await file.read()
    kept = await served.rendered(served.uploads.add, content, file.filename or "upload")
    served.metrics.uploads.inc()
    return _info(kept)


@router.get("/{upload_id}")
def upload_info(upload_id: UploadId, served: ServedLibrary) -> UploadInfo:
    """What is known of an upload."""
    return _info(served.uploads.get(upload_id)[0])


@router.get(
    "/{upload_id}/media",
    response_class=FileResponse,
    responses={
        200: {"content": {"*/*": {}}, "description": "The upload."},
        206: {"content": {"*/*": {}}, "description": "The range that was asked for."},
        416: {"description": "It has no such range."},
    },
)
def upload_media(upload_id: UploadId, served: ServedLibrary) -> Response:
    """The bytes of an upload; takes Range."""
    kept, path = served.uploads.get(upload_id)
    mime, is_shown = served_type(kept.mime)
    disposition = "inline" if is_shown else "attachment"
    return FileResponse(path, media_type=mime, headers={"content-disposition": disposition})


@router.get(
    "/{upload_id}/preview",
    response_class=Response,
    responses={
        200: {
            "content": {
                "image/webp": {},
                "application/json": {"example": {"duration_s": 2.5, "peaks": [0, 12, 100]}},
            },
            "description": "A preview.",
        }
    },
)
async def upload_preview(upload_id: UploadId, served: ServedLibrary) -> Response:
    """A small picture of a picture or video, the loudness over time of a sound."""
    return await served.rendered(_preview, served, upload_id)


def _preview(served: Served, upload_id: str) -> Response:
    kept, path = served.uploads.get(upload_id)
    samples = served.uploads.load(path, kept.modality, kept.name)
    headers = {"cache-control": "private, max-age=86400"}
    if kept.modality is Modality.AUDIO:
        return Response(peaks_of(iter(samples)), media_type="application/json", headers=headers)
    if kept.modality.is_plugged:
        pixels = plugged_picture(kept.modality, samples)
    else:
        pixels = next((sample.pixels for sample in samples if isinstance(sample, ImageSample)), None)
    if pixels is None:
        raise Unavailable(f"{kept.name} has no picture", status=404)
    return Response(thumbnail_webp(pixels, _PREVIEW_PX), media_type="image/webp", headers=headers)


def _info(kept: Upload) -> UploadInfo:
    return UploadInfo(
        id=kept.reference,
        name=kept.name,
        modality=kept.modality,
        mime=kept.mime,
        size_bytes=kept.size_bytes,
        width_px=kept.width_px,
        height_px=kept.height_px,
        duration_s=kept.duration_s,
        source=f"{kept.modality.value}:{kept.reference}",
    )

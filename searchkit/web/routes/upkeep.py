"""``/v1/duplicates``, ``/v1/remove``, ``/v1/verify``: what keeps a library in order."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from searchkit.types import Modality
from searchkit.web.cursors import number_of, write_cursor
from searchkit.web.library_models import (
    DuplicateInfo,
    DuplicateList,
    Removed,
    RemoveRequest,
    VerifyAnswer,
    VerifyRequest,
)
from searchkit.web.problems import safe_text
from searchkit.web.served import ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["library"])


@router.get("/duplicates")
def duplicates(
    served: ServedLibrary,
    to: Annotated[list[Modality] | None, Query(description="What to look at; may be repeated.")] = None,
    threshold: Annotated[float | None, Query(ge=-1, le=1, description="Lowest cosine of near ones.")] = None,
    where: Annotated[str | None, Query(max_length=4000)] = None,
    near: Annotated[bool, Query(description="Also files that are merely alike.")] = True,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> DuplicateList:
    """Files of equal content, and files whose embeddings nearly coincide; nothing is deleted.

    The whole library is compared for every page: ask for few large ones.
    """
    first = number_of(cursor, "offset", default=0)
    groups = served.library.duplicates(to=to, threshold=threshold, where=where or None, near=near)
    more = write_cursor({"offset": first + limit}) if len(groups) > first + limit else None
    shown = [DuplicateInfo.model_validate(_shown(group.to_dict())) for group in groups[first : first + limit]]
    return DuplicateList(groups=shown, next_cursor=more)


@router.post("/remove")
def remove(wanted: RemoveRequest, served: ServedLibrary) -> Removed:
    """Take files and folders out of the library; the files themselves stay."""
    served.refuse_if_read_only()
    served.runs.settle()
    return Removed(removed=served.library.remove(*wanted.paths))


@router.post("/verify")
def verify(wanted: VerifyRequest, served: ServedLibrary) -> VerifyAnswer:
    """Check that catalog and vectors agree, and mend what can be mended."""
    if wanted.repair:
        served.refuse_if_read_only()
        served.runs.settle()
    report = served.library.verify(repair=wanted.repair).to_dict()
    return VerifyAnswer.model_validate({**report, "library": safe_text(report["library"])})


def _shown(group: dict[str, Any]) -> dict[str, Any]:
    return {**group, "files": [{**file, "path": safe_text(file["path"])} for file in group["files"]]}

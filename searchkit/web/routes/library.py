"""``/v1/status``, ``/v1/tags``, ``/v1/errors``, ``/v1/fields``: the library as a whole."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Query

from searchkit._version import __version__
from searchkit.catalog import assets, details, tags
from searchkit.errors import UsageError
from searchkit.query.filter_fields import FIELDS
from searchkit.web.cursors import number_of, write_cursor
from searchkit.web.library_models import (
    Failure,
    FailureList,
    FieldInfo,
    StatusInfo,
    TagChange,
    TagChanged,
    TagCounts,
)
from searchkit.web.problems import safe_text
from searchkit.web.served import ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["library"])


@router.get("/status")
def status(served: ServedLibrary) -> StatusInfo:
    """What the library holds."""
    held: dict[str, Any] = served.library.status().to_dict()
    held["library"] = safe_text(held["library"])
    held["roots"] = [safe_text(root) for root in held["roots"]]
    return StatusInfo(
        **held,
        model=served.library.settings.model,
        read_only=served.settings.read_only or served.library.read_only,
        version=__version__,
        run_complaint=safe_text(served.runs.complaint),
    )


@router.get("/tags")
def tag_counts(served: ServedLibrary) -> TagCounts:
    """How many files carry each tag."""
    return TagCounts(tags=served.library.tags())


@router.post("/tags")
def change_tags(change: TagChange, served: ServedLibrary) -> TagChanged:
    """Put tags on files and folders, and take others off."""
    served.refuse_if_read_only()
    if not (change.asset_ids or change.paths) or not (change.add or change.remove):
        raise UsageError("tagging needs files and words", hint='{"asset_ids": [12], "add": ["holiday"]}')
    with served.library.catalog.write() as connection:
        chosen = set(change.asset_ids)
        unknown = chosen - details.details(connection, sorted(chosen)).keys()
        if unknown:
            raise UsageError(f"the library has no asset {min(unknown)}")
        for path in change.paths:
            found = assets.ids_under(connection, os.path.abspath(path))  # noqa: PTH100 - resolves "..", not links
            if not found:
                raise UsageError(
                    f"the library holds nothing at {path}", hint="`searchkit status` lists its folders"
                )
            chosen.update(found)
        ids = sorted(chosen)
        tags.add_tags(connection, ids, change.add)
        tags.remove_tags(connection, ids, change.remove)
    return TagChanged(changed=len(ids), tags=served.library.tags())


@router.get("/errors")
def errors(
    served: ServedLibrary,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> FailureList:
    """Files that could not be read, and why."""
    after = number_of(cursor, "after", default=0)
    space_id = served.space_id()
    if space_id is None:
        return FailureList(errors=[], next_cursor=None)
    with served.library.catalog.read() as connection:
        rows = details.failures_after(connection, space_id, after=after, limit=limit + 1)
    shown = [
        Failure(asset_id=row.asset_id, path=safe_text(row.path), reason=safe_text(row.reason), at=row.at)
        for row in rows[:limit]
    ]
    more = write_cursor({"after": rows[limit - 1].asset_id}) if len(rows) > limit else None
    return FailureList(errors=shown, next_cursor=more)


@router.get("/fields")
def fields() -> list[FieldInfo]:
    """The names that filters know."""
    return [FieldInfo(name=field.name, about=field.about, ordered=field.ordered) for field in FIELDS.values()]

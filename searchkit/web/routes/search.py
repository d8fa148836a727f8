"""``/v1/search``: queries as JSON, in the address, or with media in a multipart body."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from searchkit.errors import QueryError
from searchkit.types import Modality
from searchkit.web.models import ExplainAnswer, ExplainRequest, SearchAnswer, SearchRequest
from searchkit.web.naming import resolve
from searchkit.web.problems import safe_text
from searchkit.web.searching import search
from searchkit.web.served import Served, ServedLibrary
from searchkit.web.uploads import Upload

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["search"])

_MAX_FILES = 8
_FIELDS = ("query", "where", "to", "k", "spans", "diverse", "hybrid", "cursor")
_SCHEMA = SearchRequest.model_json_schema(ref_template="#/components/schemas/{model}")
_SCHEMA.pop("$defs", None)
_EXAMPLES = {
    "words": {"value": {"query": "a dog in the snow", "to": ["image"], "k": 12}},
    "a sum": {"value": {"query": 'id:34 + 0.5*text:"at night"', "where": "date>=2019"}},
}
_MULTIPART = {
    "type": "object",
    "properties": {
        "request": {"type": "string", "description": "A SearchRequest as JSON; its query names the files."},
        "query": {"type": "string", "example": 'audio:bark.wav + 0.5*"snow"'},
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": _MAX_FILES},
    },
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _SCHEMA, "examples": _EXAMPLES},
            "multipart/form-data": {"schema": _MULTIPART},
        },
    }
}


@router.get("/search")
def search_by_address(
    served: ServedLibrary,
    q: Annotated[
        str,
        Query(max_length=20_000, description="Words, or the query grammar.", examples=["a dog in the snow"]),
    ] = "",
    to: Annotated[list[Modality] | None, Query(description="What to find; may be repeated.")] = None,
    where: Annotated[str | None, Query(max_length=4000, examples=["type:jpg AND date>=2019"])] = None,
    k: Annotated[int, Query(ge=1, le=200)] = 30,
    spans: bool = False,
    diverse: bool = False,
    hybrid: Annotated[bool, Query(description="Search names and texts by word as well.")] = False,
    cursor: Annotated[str | None, Query(max_length=40_000)] = None,
) -> SearchAnswer:
    """Search with a query in the address; without one, list the newest files."""
    asked = SearchRequest(
        query=q, to=to, where=where, k=k, spans=spans, diverse=diverse, hybrid=hybrid, cursor=cursor
    )
    return search(served, asked)


@router.post("/search", openapi_extra=_BODY)
async def search_by_body(request: Request, served: ServedLibrary) -> SearchAnswer:
    """Search with JSON, or with media in a multipart body, which the query names by their file names.

    A multipart body without a query searches with the sum of its files.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _search_with_files(request, served)
    if kind not in ("application/json", ""):
        raise HTTPException(415, "a search is sent as application/json or multipart/form-data")
    asked = _validated(await request.body())
    return await to_thread.run_sync(search, served, asked)


async def _search_with_files(request: Request, served: Served) -> SearchAnswer:
    async with request.form(max_files=_MAX_FILES, max_fields=20) as form:
        files: dict[str, Upload] = {}
        fields: dict[str, str] = {}
        for field, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                name = value.filename or field
                upload = await to_thread.run_sync(served.uploads.add, content, name)
                served.metrics.uploads.inc()
                files[name] = upload
                files.setdefault(field, upload)
            else:
                fields[field] = value
    if "request" in fields:
        asked = _validated(fields["request"].encode("utf-8", "surrogatepass"))
    else:
        if unknown := fields.keys() - set(_FIELDS):
            raise QueryError(f"no field is called {min(unknown)!r}", hint=", ".join(_FIELDS))
        values: dict[str, Any] = dict(fields)
        if "to" in values:
            values["to"] = [name.strip() for name in values["to"].split(",")]
        try:
            asked = SearchRequest.model_validate(values)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None
    if not asked.query.strip() and not asked.cursor:
        uploads = {upload.id: upload for upload in files.values()}.values()
        query = " + ".join(f"{upload.modality.value}:{upload.reference}" for upload in uploads)
        asked = asked.model_copy(update={"query": query})
    return await to_thread.run_sync(search, served, asked, files)


def _validated(body: bytes) -> SearchRequest:
    try:
        return SearchRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None


@router.post("/explain")
def explain(wanted: ExplainRequest, served: ServedLibrary) -> ExplainAnswer:
    """Why a file ranks where it does: each term's share, scores, filters, ranks."""
    if (wanted.asset_id is None) == (wanted.path is None):
        raise QueryError("name the file by asset_id or by path, and only one of them")
    path = wanted.path if wanted.asset_id is None else served.asset(wanted.asset_id).path
    assert path is not None
    query = served.library.parse(wanted.query)
    explained = served.library.explain(
        resolve(served, query, {}),
        path,
        to=wanted.to,
        where=wanted.where or None,
        hybrid=wanted.hybrid,
        centred=wanted.centred,
        prompts=wanted.prompts,
    ).to_dict()
    # The terms as they were typed, not as the server found their files.
    terms = [
        {**share, "term": str(term.operand)}
        for share, term in zip(explained["terms"], query.terms, strict=True)
    ]
    names = {name: safe_text(explained[name] or "") or None for name in ("path", "copy_of")}
    return ExplainAnswer.model_validate({**explained, **names, "terms": terms})

"""``/v1/queries``: queries kept under a name, by which ``@name`` recalls them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from searchkit.catalog.saved import SavedRow
from searchkit.web.library_models import SavedInfo, SavedList, SaveRequest
from searchkit.web.naming import in_library
from searchkit.web.problems import safe_text
from searchkit.web.served import ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1/queries", tags=["search"])

QueryName = Annotated[
    str, Path(min_length=1, max_length=100, description="Without the @.", examples=["bells"])
]


@router.get("")
def saved_queries(served: ServedLibrary) -> SavedList:
    """All saved queries, by name."""
    return SavedList(queries=[_info(row) for row in served.library.saved_queries().values()])


@router.put("/{name}")
def save_query(name: QueryName, wanted: SaveRequest, served: ServedLibrary) -> SavedInfo:
    """Keep a query; one of the same name is replaced. Its files are files of the library."""
    served.refuse_if_read_only()
    query = in_library(served, served.library.parse(wanted.query))
    return _info(
        served.library.save_query(
            name, query, to=wanted.to, where=wanted.where or None, prompts=tuple(wanted.prompts)
        )
    )


@router.delete("/{name}", status_code=204)
def delete_query(name: QueryName, served: ServedLibrary) -> Response:
    """Forget a query."""
    served.refuse_if_read_only()
    served.library.delete_query(name)
    return Response(status_code=204)


def _info(row: SavedRow) -> SavedInfo:
    return SavedInfo.model_validate({**row.to_dict(), "query": safe_text(row.source)})

"""From a request to a page of results: searches, joins what is shown, pages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from searchkit.catalog import details
from searchkit.catalog.details import AssetDetails
from searchkit.errors import QueryError
from searchkit.query import Filter, parse_filter
from searchkit.query.patterns import SAVED
from searchkit.types import Modality, Result
from searchkit.web.cursors import read_cursor, write_cursor
from searchkit.web.models import SearchAnswer, SearchRequest, SearchResult
from searchkit.web.naming import Files, resolve, terms_of
from searchkit.web.problems import safe_text
from searchkit.web.served import Served

__all__ = ["asset_facts", "search"]

_NOTHING: Files = {}
_DIVERSE_DEPTH = 120


def search(served: Served, request: SearchRequest, files: Files = _NOTHING) -> SearchAnswer:
    """Answer a search request; without a query, with the newest files.

    Args:
        served: the library.
        request: what to search for.
        files: uploads that came with the request, by the names that its query calls them.

    Raises:
        QueryError: the query, the filter or the cursor does not parse, or names a file that is not there.
        DecodeError: a file that is searched with cannot be read.
    """
    started_s = time.perf_counter()
    place: dict[str, Any] = {}
    if request.cursor:
        request, place = _continued(request.cursor)
    request = _recalled(served, request)
    where = parse_filter(request.where) if request.where and request.where.strip() else None
    if request.query.strip():
        answer = _ranked(served, request, where, place, files)
    else:
        answer = _newest(served, request, where, place)
    answer.to, answer.where = request.to, None if where is None else str(where)
    answer.took_ms = round(1000 * (time.perf_counter() - started_s), 2)
    return answer


def _recalled(served: Served, request: SearchRequest) -> SearchRequest:
    """A saved query that stands alone is searched as it was saved, where the request says nothing else."""
    alone = SAVED.fullmatch(request.query.strip())
    row = served.library.saved_queries().get(alone[1]) if alone else None
    if row is None:
        return request
    to = [Modality(name) for name in row.to.split(",")] if row.to else None
    return request.model_copy(
        update={
            "to": request.to if request.to is not None else to,
            "where": request.where or row.where,
            "prompts": request.prompts or list(row.prompts),
        }
    )


def _ranked(
    served: Served, request: SearchRequest, where: Filter | None, place: dict[str, Any], files: Files
) -> SearchAnswer:
    offset = int(place.get("offset", 0))
    # A diverse list depends on its length, so that all its pages come from one.
    deepest = _DIVERSE_DEPTH if request.diverse else served.settings.max_depth
    if not 0 <= offset < deepest:
        raise QueryError(f"only the best {deepest} results can be paged through")
    query = served.library.parse(request.query)
    resolved = resolve(served, query, files)
    stop = min(offset + request.k, deepest)
    with served.metrics.search_seconds.time():
        results = served.memory.results(
            (
                str(resolved),
                str(where),
                request.model_copy(update={"query": "", "cursor": None}).model_dump_json(),
            ),
            lambda k: served.library.search(
                resolved,
                to=request.to,
                k=k,
                where=where,
                spans=request.spans,
                diverse=request.diverse,
                fusion=request.fusion,
                hybrid=request.hybrid,
                centred=request.centred,
                prompts=request.prompts,
                cutoff=request.cutoff,
            ),
            offset=offset,
            stop=stop,
            deepest=deepest,
            least=deepest if request.diverse else 1,
        )
    more = len(results) > stop and stop < deepest
    return SearchAnswer(
        query=str(query),
        terms=terms_of(query),
        space=results.space,
        cutoff=results.cutoff,
        results=_shown(served, results[offset:stop]),
        next_cursor=_cursor(request, {"offset": stop}) if more else None,
        took_ms=0.0,
    )


def _newest(
    served: Served, request: SearchRequest, where: Filter | None, place: dict[str, Any]
) -> SearchAnswer:
    space_id = served.space_id()
    wanted = [modality.value for modality in request.to] if request.to is not None else None
    condition = None if where is None else where.sql()
    if wanted is not None:
        among = parse_filter(f"modality:{','.join(wanted)}").sql() if wanted else None
        condition = among if condition is None else condition if among is None else condition & among
    before = place.get("before")
    rows: list[tuple[int, int, str, str | None]] = []
    if space_id is not None:
        with served.library.catalog.read() as connection:
            rows = details.newest(
                connection,
                space_id,
                where=condition,
                before=None if before is None else (str(before[0]), int(before[1])),
                limit=request.k + 1,
            )
            known = details.details(connection, [row[0] for row in rows])
    first = int(place.get("offset", 0))
    results = [
        SearchResult.model_validate(
            {
                "rank": first + number,
                "score": None,
                "start_s": None,
                "end_s": None,
                "asset_id": asset_id,
                "segment_id": segment_id,
                "text": text,
                **asset_facts(known[asset_id]),
            }
        )
        for number, (asset_id, segment_id, _, text) in enumerate(rows[: request.k], start=1)
    ]
    after = None
    if len(rows) > request.k:
        last = rows[request.k - 1]
        after = _cursor(request, {"before": [last[2], last[0]], "offset": first + request.k})
    return SearchAnswer(
        query="",
        terms=[],
        space=served.encoder.space.fingerprint,
        results=results,
        next_cursor=after,
        took_ms=0.0,
    )


def _shown(served: Served, results: Sequence[Result]) -> list[SearchResult]:
    with served.library.catalog.read() as connection:
        known = details.details(connection, sorted({result.asset_id for result in results}))
    return [
        SearchResult.model_validate(
            {
                **result.to_dict(),
                **asset_facts(known[result.asset_id]),
                "copies": [safe_text(str(copy)) for copy in result.copies],
            }
        )
        for result in results
        if result.asset_id in known
    ]


def asset_facts(asset: AssetDetails) -> dict[str, Any]:
    """What is shown of an asset wherever it appears."""
    path = safe_text(asset.path)
    return {
        "path": path,
        "name": Path(path).name,
        "modality": asset.modality,
        "mime": asset.mime,
        "width_px": asset.width_px,
        "height_px": asset.height_px,
        "duration_s": asset.duration_s,
        "date": asset.date,
        "tags": list(asset.tags),
    }


def _cursor(request: SearchRequest, place: Mapping[str, Any]) -> str:
    asked = request.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)
    return write_cursor({"request": asked, "place": dict(place)})


def _continued(cursor: str) -> tuple[SearchRequest, dict[str, Any]]:
    value = read_cursor(cursor)
    try:
        request = SearchRequest.model_validate({**value["request"], "cursor": None})
        place = {"offset": int(value["place"]["offset"])}
        if "before" in value["place"]:
            date, asset_id = value["place"]["before"]
            if not 0 <= int(asset_id) < 2**63:
                raise ValueError(asset_id)
            place["before"] = [str(date), int(asset_id)]  # type: ignore[assignment]
    except (KeyError, TypeError, ValueError, OverflowError, ValidationError):
        raise QueryError(
            "that is no cursor of this server", hint="give back next_cursor as it came, or leave it out"
        ) from None
    return request, place

"""What a server answers, turned back into the values that the library itself gives; knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchkit import errors
from searchkit.catalog.assets import FileError
from searchkit.catalog.runs import RunRow
from searchkit.catalog.saved import SavedRow
from searchkit.catalog.tables import RunState
from searchkit.catalog.types import lies_below
from searchkit.duplicates import DuplicateFile, DuplicateGroup
from searchkit.errors import DependencyMissing, QueryError, SearchkitError, ServerError, UsageError
from searchkit.query.explain import Explanation, FilterPart, TermShare
from searchkit.status import LibraryStatus
from searchkit.types import Modality, Result, Space, Span

if TYPE_CHECKING:
    from searchkit.indexer import IndexReport, VerifyReport

__all__ = [
    "duplicates_of",
    "error_of",
    "explanation_of",
    "failure_of",
    "index_report_of",
    "result_of",
    "run_of",
    "saved_of",
    "status_of",
    "verify_report_of",
]

Said = Mapping[str, Any]


def result_of(said: Said) -> Result:
    """A result of ``/v1/search``."""
    return Result(
        rank=said["rank"],
        path=Path(said["path"]),
        modality=Modality(said["modality"]),
        score=said["score"] or 0.0,
        span=_span(said),
        asset_id=said["asset_id"],
        segment_id=said["segment_id"],
        text=said["text"],
        match=said.get("match"),
        z=said.get("z"),
        copies=tuple(Path(copy) for copy in said.get("copies", ())),
        found_by=tuple(said.get("found_by", ("vectors",))),
    )


def explanation_of(said: Said) -> Explanation:
    """The answer of ``/v1/explain``."""
    return Explanation(
        path=Path(said["path"]),
        modality=Modality(said["modality"]),
        segment_id=said["segment_id"],
        span=_span(said),
        terms=tuple(
            TermShare(term["term"], term["weight"], term["similarity"], term["contribution"])
            for term in said["terms"]
        ),
        score=said["score"],
        z=said["z"],
        match=said["match"],
        collection=said["collection"],
        collection_rank=said["collection_rank"],
        collection_size=said["collection_size"],
        rank=said["rank"],
        ranks=said["ranks"],
        found_by=tuple(said["found_by"]),
        filters=tuple(FilterPart(part["filter"], part["passed"]) for part in said["filters"]),
        caption=said.get("caption"),
        caption_match=said.get("caption_match"),
        copy_of=Path(said["copy_of"]) if said.get("copy_of") else None,
    )


def status_of(said: Said) -> LibraryStatus:
    """The answer of ``/v1/status``."""
    run = said["last_run"]
    return LibraryStatus(
        folder=Path(said["library"]),
        spaces=[
            Space(space["encoder"], space["revision"], space["preprocessing"], space["dim"])
            for space in said["spaces"]
        ],
        assets={Modality(name): count for name, count in said["assets"].items()},
        segments=dict(said["segments"]),
        failed=said["failed"],
        roots=list(said["roots"]),
        last_run=None if run is None else run_of(run),
    )


def run_of(said: Said) -> RunRow:
    """A run of ``/v1/runs``."""
    return RunRow(
        id=said["id"],
        started_at=datetime.fromisoformat(said["started_at"]),
        ended_at=None if said["ended_at"] is None else datetime.fromisoformat(said["ended_at"]),
        state=RunState(said["state"]),
        roots=list(said["roots"]),
        counts=dict(said["counts"]),
        error=said["error"],
        host=said["host"],
    )


def failure_of(said: Said) -> FileError:
    """A file of ``/v1/errors``."""
    return FileError(said["path"], said["reason"], datetime.fromisoformat(said["at"]))


def saved_of(said: Said) -> SavedRow:
    """A query of ``/v1/queries``."""
    saved_at = datetime.fromisoformat(said["saved_at"])
    prompts = tuple(said["prompts"])
    return SavedRow(said["name"], said["query"], said["to"], said["where"], prompts, saved_at)


def duplicates_of(said: Said) -> DuplicateGroup:
    """A group of ``/v1/duplicates``."""
    return DuplicateGroup(
        kind=said["kind"],
        modality=Modality(said["modality"]),
        similarity=said["similarity"],
        files=tuple(
            DuplicateFile(file["asset_id"], Path(file["path"]), file["size_bytes"], file["date"])
            for file in said["files"]
        ),
    )


def verify_report_of(said: Said) -> VerifyReport:
    """The answer of ``/v1/verify``."""
    from searchkit.indexer.verify import CollectionCheck, VerifyReport

    return VerifyReport(
        collections=[CollectionCheck(**check) for check in said["collections"]],
        unfinished=said["unfinished"],
        repaired=said["repaired"],
        embed_again=said["embed_again"],
        library=Path(said["library"]),
    )


def index_report_of(run: RunRow, failures: list[FileError], status: LibraryStatus) -> IndexReport:
    """The report of a run that has ended, from what the catalog keeps of it."""
    from searchkit.indexer import FileFailure, IndexReport

    counted = {name: run.counts[name] for name in IndexReport().counts() if name in run.counts}
    return IndexReport(
        **counted,
        seconds=0.0 if run.ended_at is None else (run.ended_at - run.started_at).total_seconds(),
        interrupted=run.state is RunState.INTERRUPTED,
        errors=[
            FileFailure(one.path, one.reason)
            for one in failures
            if any(lies_below(one.path, root) for root in run.roots)
        ],
        library=status.folder,
        space=status.spaces[0].fingerprint if len(status.spaces) == 1 else "",
    )


def error_of(status: int, said: Said) -> SearchkitError:
    """The exception that the server raised, where it can be made from words alone."""
    message, hint = str(said.get("detail", f"the server answered {status}")), str(said.get("hint", ""))
    kind = getattr(errors, str(said.get("code", "")), None)
    if isinstance(kind, type) and issubclass(kind, SearchkitError):
        if kind is errors.DecodeError:
            path, _, reason = message.partition(": ")
            return errors.DecodeError(path, reason, hint=hint)
        if kind is errors.QuerySyntaxError:
            return QueryError(message, hint=hint)
        if kind not in (DependencyMissing, errors.Unavailable):
            return kind(message, hint=hint)
    if said.get("code") == "InvalidRequest":
        asked = {part for one in said.get("errors", ()) for part in str(one.get("at", "")).split(".")}
        return (QueryError if "to" in asked else UsageError)(message, hint=hint)
    return ServerError(message, hint=hint, status=status)


def _span(said: Said) -> Span | None:
    if said["start_s"] is None or said["end_s"] is None:
        return None
    return Span(said["start_s"], said["end_s"])

"""What the API takes and gives about the library as a whole: its state, its tags, its runs, its map."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from searchkit.types import Modality
from searchkit.web.models import MAX_QUERY_CHARS, Key, RequestModel, Tag, example

__all__ = [
    "DuplicateFileInfo",
    "DuplicateInfo",
    "DuplicateList",
    "Failure",
    "FailureList",
    "FieldInfo",
    "MapInfo",
    "RemoveRequest",
    "Removed",
    "RunInfo",
    "RunList",
    "RunRequest",
    "RunStarted",
    "RunStopped",
    "SaveRequest",
    "SavedInfo",
    "SavedList",
    "SessionInfo",
    "SessionRequest",
    "StatusInfo",
    "TagChange",
    "TagChanged",
    "TagCounts",
    "VerifyAnswer",
    "VerifyRequest",
]

_WHEN = "2024-05-01T12:00:00"
_DOG = "/home/me/photos/dog.jpg"
_COUNTS = {"new": 3, "changed": 1, "moved": 0, "gone": 0, "same": 120, "failed": 1}


class TagChange(RequestModel):
    """Tags to put on files and to take off."""

    model_config = example({"asset_ids": [12, 13], "add": ["holiday"]})

    asset_ids: list[Key] = Field(default_factory=list, max_length=10_000)
    paths: list[str] = Field(default_factory=list, max_length=10_000, description="Files and folders.")
    add: list[Tag] = Field(default_factory=list, max_length=100)
    remove: list[Tag] = Field(default_factory=list, max_length=100)


class TagChanged(BaseModel):
    """How many files were meant, and how many carry each tag now."""

    model_config = example({"changed": 2, "tags": {"holiday": 12}})

    changed: int
    tags: dict[str, int]


class TagCounts(BaseModel):
    """How many files carry each tag."""

    model_config = example({"tags": {"holiday": 12}})

    tags: dict[str, int]


class StatusInfo(BaseModel):
    """What the library holds; as ``searchkit status --json``."""

    model_config = example(
        {
            "library": "/home/me/.local/share/searchkit",
            "roots": ["/home/me/photos"],
            "assets": {"image": 120, "audio": 4},
            "failed": 1,
            "segments": {"mini-896-0f3a2b5c.image": 120},
            "spaces": [{"fingerprint": "0f3a2b5c7d9e1f02", "encoder": "mini", "dim": 896}],
            "last_run": {"state": "done", "started_at": _WHEN, "ended_at": _WHEN, "counts": _COUNTS},
            "model": "mini",
            "read_only": False,
            "version": "0.1.0",
            "run_complaint": "",
        },
        extra="allow",
    )

    library: str
    roots: list[str]
    assets: dict[str, int]
    failed: int
    segments: dict[str, int]
    spaces: list[dict[str, Any]]
    last_run: dict[str, Any] | None
    model: str
    read_only: bool
    version: str
    run_complaint: str = Field(description="What a run said that this server started and that failed.")


class RunInfo(BaseModel):
    """A run of the indexer."""

    id: int
    state: str = Field(examples=["done"])
    started_at: datetime
    ended_at: datetime | None
    roots: list[str]
    counts: dict[str, Any]
    error: str | None
    host: str = Field(default="", description="The machine that it ran on.")
    done: int | None = Field(default=None, description="Files dealt with so far, while it runs.")
    total: int | None = Field(default=None, description="Files of this stage, where known.")
    stage: str | None = None


class RunList(BaseModel):
    """Index runs, newest first."""

    model_config = example(
        {
            "runs": [
                {
                    "id": 7,
                    "state": "done",
                    "started_at": _WHEN,
                    "ended_at": _WHEN,
                    "roots": ["/home/me/photos"],
                    "counts": _COUNTS,
                    "error": None,
                }
            ],
            "next_cursor": None,
        }
    )

    runs: list[RunInfo]
    next_cursor: str | None = Field(description="Give it back for the next page; null on the last.")


class RunRequest(RequestModel):
    """Start a run over everything that was indexed before, or over some of it."""

    model_config = example({"paths": ["/home/me/photos/2024"], "retry_failed": True})

    paths: list[str] = Field(default_factory=list, max_length=100, description="Within indexed folders.")
    retry_failed: bool = False


class RunStarted(BaseModel):
    """A run begins; ``GET /v1/runs`` shows it, newest first, as soon as it is recorded."""

    model_config = example({"started": True, "after": 6})

    started: bool
    after: int = Field(description="The newest run before it; its id will be higher. 0 before the first.")


class RunStopped(BaseModel):
    """Whether there was a run of this server to end."""

    model_config = example({"stopped": True})

    stopped: bool


class Failure(BaseModel):
    """A file that could not be read, and why."""

    asset_id: int
    path: str
    reason: str
    at: datetime


class FailureList(BaseModel):
    """Files that could not be read."""

    model_config = example(
        {
            "errors": [
                {
                    "asset_id": 14,
                    "path": "/home/me/photos/cut.jpg",
                    "reason": "the image is cut off",
                    "at": _WHEN,
                }
            ],
            "next_cursor": None,
        }
    )

    errors: list[Failure]
    next_cursor: str | None = Field(description="Give it back for the next page; null on the last.")


class RemoveRequest(RequestModel):
    """Files and folders to take out of the library; the files themselves stay."""

    model_config = example({"paths": ["/home/me/photos/2012"]})

    paths: list[str] = Field(min_length=1, max_length=10_000)


class Removed(BaseModel):
    """How many files the library no longer lists."""

    model_config = example({"removed": 31})

    removed: int


class VerifyRequest(RequestModel):
    """Check the catalog against the vectors."""

    model_config = example({"repair": False})

    repair: bool = Field(default=False, description="Mend what can be mended.")


class VerifyAnswer(BaseModel):
    """What a check found; as ``searchkit verify --json``."""

    model_config = example(
        {
            "clean": True,
            "library": "/home/me/.local/share/searchkit",
            "unfinished": 0,
            "repaired": False,
            "embed_again": 0,
            "collections": [
                {
                    "name": "mini-896-0f3a2b5c.image",
                    "segments": 120,
                    "vectors": 120,
                    "missing": 0,
                    "orphans": 0,
                    "damage": "",
                }
            ],
        },
        extra="allow",
    )

    clean: bool
    library: str
    unfinished: int
    repaired: bool
    embed_again: int
    collections: list[dict[str, Any]]


class DuplicateFileInfo(BaseModel):
    """One file of a group."""

    path: str
    asset_id: int
    size_bytes: int
    date: str


class DuplicateInfo(BaseModel):
    """Files that are one another's duplicates."""

    kind: Literal["exact", "near"]
    modality: Modality
    similarity: float
    spare_bytes: int = Field(description="What all but the first file take.")
    files: list[DuplicateFileInfo]


class DuplicateList(BaseModel):
    """Groups of files: equal content first, then those whose embeddings nearly coincide."""

    model_config = example(
        {
            "groups": [
                {
                    "kind": "exact",
                    "modality": "image",
                    "similarity": 1.0,
                    "spare_bytes": 94_000,
                    "files": [
                        {"path": _DOG, "asset_id": 12, "size_bytes": 94_000, "date": _WHEN},
                        {
                            "path": "/home/me/copy/dog.jpg",
                            "asset_id": 81,
                            "size_bytes": 94_000,
                            "date": _WHEN,
                        },
                    ],
                }
            ],
            "next_cursor": None,
        }
    )

    groups: list[DuplicateInfo]
    next_cursor: str | None = Field(description="Give it back for the next page; null on the last.")


class SaveRequest(RequestModel):
    """A query to keep under a name."""

    model_config = example({"query": '"a bell" - 0.4*"a church"', "to": ["audio"], "where": "duration_s<10"})

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS)
    to: list[Modality] | None = None
    where: str | None = Field(default=None, max_length=4000)
    prompts: list[str] = Field(default_factory=list, max_length=16)


class SavedInfo(BaseModel):
    """A saved query; ``@name`` recalls it in other queries."""

    model_config = example(
        {
            "name": "bells",
            "query": 'text:"a bell"',
            "to": "audio",
            "where": None,
            "prompts": [],
            "saved_at": _WHEN,
        }
    )

    name: str
    query: str
    to: str | None = Field(description="Modalities, with commas.")
    where: str | None
    prompts: list[str]
    saved_at: datetime


class SavedList(BaseModel):
    """All saved queries."""

    model_config = example(
        {
            "queries": [
                {
                    "name": "bells",
                    "query": 'text:"a bell"',
                    "to": "audio",
                    "where": None,
                    "prompts": [],
                    "saved_at": _WHEN,
                }
            ]
        }
    )

    queries: list[SavedInfo]


class FieldInfo(BaseModel):
    """A name that filters know."""

    model_config = example({"name": "date", "about": "when it was taken: date>=2019", "ordered": True})

    name: str
    about: str
    ordered: bool


class SessionRequest(RequestModel):
    """Sign a browser in."""

    model_config = example({"token": "the token that searchkit serve printed"})

    token: str = Field(max_length=500)


class SessionInfo(BaseModel):
    """How a browser stands with the server."""

    model_config = example({"token_needed": True, "signed_in": False})

    token_needed: bool
    signed_in: bool


class MapInfo(BaseModel):
    """How far the map of the library is."""

    model_config = example(
        {"state": "computing", "points": 0, "share_done": 0.4, "is_current": False, "reason": ""}
    )

    state: Literal["absent", "computing", "ready", "failed"]
    points: int
    share_done: float = Field(ge=0, le=1)
    is_current: bool = Field(description="False when the library changed since.")
    reason: str

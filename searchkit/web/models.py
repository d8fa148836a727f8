"""What the API takes and gives, as types that describe themselves in ``/openapi.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from searchkit.types import Modality

__all__ = [
    "AssetInfo",
    "Failure",
    "FailureList",
    "ExplainAnswer",
    "ExplainRequest",
    "FieldInfo",
    "Embedding",
    "EmbeddingInput",
    "EmbeddingList",
    "EmbeddingRequest",
    "EmbeddingUsage",
    "MapInfo",
    "Problem",
    "RunInfo",
    "RunRequest",
    "SearchAnswer",
    "SearchRequest",
    "SearchResult",
    "SegmentInfo",
    "SegmentSpan",
    "SessionInfo",
    "SessionRequest",
    "StatusInfo",
    "TagChange",
    "TagChanged",
    "TagCounts",
    "TermInfo",
    "UploadInfo",
]

_DOG = "/home/me/photos/dog.jpg"
MAX_QUERY_CHARS = 20_000
MAX_PAGE = 200

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Key = Annotated[int, Field(ge=0, lt=2**63)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error, as RFC 9457 has it; ``detail`` and ``hint`` are the words of the command line."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "The request cannot be answered as asked",
                    "status": 400,
                    "detail": "no such file: cat.jpg",
                    "hint": "send it with the request, or name a file of the library",
                    "code": "QueryError",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    hint: str = Field(description="What to do next, may be empty.")
    code: str = Field(description="Name of the error; the same names as in `searchkit.errors`.")


class SearchRequest(_Request):
    """A search; with a ``cursor`` everything else is taken from it."""

    query: str = Field(
        default="",
        max_length=MAX_QUERY_CHARS,
        description="Words, or the query grammar; empty lists the newest files.",
        examples=['audio:bark.wav + 0.5*text:"in the snow" - id:7'],
    )
    to: list[Modality] | None = Field(default=None, description="What to find; null finds everything.")
    where: str | None = Field(
        default=None,
        max_length=4000,
        description="The only files to find, as a filter.",
        examples=["path:2019/** AND duration_s<10 AND NOT tag:private"],
    )
    k: int = Field(default=30, ge=1, le=MAX_PAGE, description="Results on one page.")
    spans: bool = Field(default=False, description="Every matching span, not the best of each file.")
    diverse: bool = Field(default=False, description="Prefer results that differ from those before them.")
    cursor: str | None = Field(
        default=None, max_length=40_000, description="`next_cursor` of the page before."
    )


class ExplainRequest(_Request):
    """Why does this file rank where it does?"""

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS, examples=["a dog in the snow"])
    asset_id: Key = Field(examples=[12])
    to: list[Modality] | None = None
    where: str | None = Field(default=None, max_length=4000)


class TermShare(BaseModel):
    """What one term added to a score; the shares of all terms sum to it."""

    term: str
    weight: float
    similarity: float
    contribution: float


class ExplainAnswer(BaseModel):
    """Why a file ranks where it does; as ``searchkit explain --json``."""

    model_config = ConfigDict(extra="allow")

    path: str
    segment_id: int
    score: float
    rank: int | None
    terms: list[TermShare]


class TermInfo(BaseModel):
    """One term of a query, as it was understood."""

    kind: str = Field(examples=["text"])
    weight: float
    value: str = Field(description="Words, a file name, or a segment's id.")
    start_s: float | None = None
    end_s: float | None = None
    source: str = Field(description="The term without its weight, in the query grammar.")


class SearchResult(BaseModel):
    """One result: a file, or a span of one. Further fields that the library gives are passed through."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "rank": 1,
                    "path": _DOG,
                    "name": "dog.jpg",
                    "modality": "image",
                    "score": 0.31,
                    "start_s": None,
                    "end_s": None,
                    "asset_id": 12,
                    "segment_id": 34,
                    "text": None,
                    "mime": "image/jpeg",
                    "width_px": 1200,
                    "height_px": 800,
                    "duration_s": None,
                    "date": "2019-06-30T18:00:00",
                    "tags": ["holiday"],
                    "match": 0.87,
                    "copies": [],
                }
            ]
        },
    )

    rank: int = Field(description="Counts from 1.")
    path: str
    name: str
    modality: Modality
    score: float | None = Field(description="Higher is better; null where nothing was searched for.")
    start_s: float | None
    end_s: float | None
    asset_id: int
    segment_id: int
    text: str | None = Field(description="The passage found, for texts.")
    mime: str | None
    width_px: int | None
    height_px: int | None
    duration_s: float | None
    date: str
    tags: list[str]
    match: float | None = Field(
        default=None, ge=0, le=1, description="Probability that it is a match; null where nothing is known."
    )
    copies: list[str] = Field(default_factory=list, description="Other files with the same content.")


class SearchAnswer(BaseModel):
    """One page of results, best first."""

    model_config = ConfigDict(extra="allow")

    query: str = Field(description="The query in its own grammar.")
    terms: list[TermInfo]
    space: str = Field(description="Fingerprint of the space that was searched.")
    results: list[SearchResult]
    next_cursor: str | None = Field(description="Give it back for the next page; null on the last.")
    took_ms: float


class SegmentSpan(BaseModel):
    """One embedded part of a file."""

    segment_id: int
    encoded_as: Modality
    start_s: float | None
    end_s: float | None
    text: str | None


class AssetInfo(BaseModel):
    """A file of the library."""

    asset_id: int
    path: str
    name: str
    modality: Modality | None
    mime: str | None
    size_bytes: int
    date: str
    added_at: datetime
    width_px: int | None
    height_px: int | None
    duration_s: float | None
    facts: dict[str, Any]
    tags: list[str]
    segments: list[SegmentSpan] = Field(description="Its parts that searches find.")


class SegmentInfo(BaseModel):
    """One segment with its file."""

    segment: SegmentSpan
    asset: AssetInfo


class UploadInfo(BaseModel):
    """A kept upload: put ``source`` into a query."""

    id: str = Field(examples=["upload/0f3a2b5c7d9e1f02a4b6c8d0e2f40618"])
    name: str
    modality: Modality
    mime: str
    size_bytes: int
    width_px: int | None
    height_px: int | None
    duration_s: float | None
    source: str = Field(examples=["audio:upload/0f3a2b5c7d9e1f02a4b6c8d0e2f40618"])


class TagChange(_Request):
    """Tags to put on files and to take off."""

    asset_ids: list[Key] = Field(default_factory=list, max_length=10_000, examples=[[12, 13]])
    paths: list[str] = Field(default_factory=list, max_length=10_000, description="Files and folders.")
    add: list[Tag] = Field(default_factory=list, max_length=100, examples=[["holiday"]])
    remove: list[Tag] = Field(default_factory=list, max_length=100)


class TagChanged(BaseModel):
    """How many files were meant."""

    changed: int
    tags: dict[str, int]


class TagCounts(BaseModel):
    """How many files carry each tag."""

    tags: dict[str, int] = Field(examples=[{"holiday": 12}])


class StatusInfo(BaseModel):
    """What the library holds; as ``searchkit status --json``."""

    model_config = ConfigDict(extra="allow")

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
    done: int | None = Field(default=None, description="Files dealt with so far, while it runs.")
    total: int | None = Field(default=None, description="Files of this stage, where known.")
    stage: str | None = None


class RunRequest(_Request):
    """Start a run over everything that was indexed before, or over some of it."""

    paths: list[str] = Field(default_factory=list, max_length=100, description="Within indexed folders.")
    retry_failed: bool = False


class Failure(BaseModel):
    """A file that could not be read, and why."""

    asset_id: int
    path: str
    reason: str
    at: datetime


class FailureList(BaseModel):
    """Files that could not be read."""

    errors: list[Failure]
    next_cursor: str | None


class FieldInfo(BaseModel):
    """A name that filters know."""

    name: str
    about: str
    ordered: bool


class SessionRequest(_Request):
    """Sign a browser in."""

    token: str = Field(max_length=500)


class SessionInfo(BaseModel):
    """How a browser stands with the server."""

    token_needed: bool
    signed_in: bool


class MapInfo(BaseModel):
    """How far the map of the library is."""

    state: Literal["absent", "computing", "ready", "failed"]
    points: int
    share_done: float = Field(ge=0, le=1)
    is_current: bool = Field(description="False when the library changed since.")
    reason: str


class ImageUrl(_Request):
    """A picture."""

    url: str = Field(description="A data: URL.")
    detail: str | None = None


class InputAudio(_Request):
    """A sound."""

    data: str = Field(description="Its bytes in base64.")
    format: str | None = None


class ContentPart(_Request):
    """One input, as chat messages have them."""

    type: Literal["text", "image_url", "input_audio"]
    text: str | None = Field(default=None, min_length=1, max_length=MAX_QUERY_CHARS)
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None


EmbeddingInput = Annotated[str, StringConstraints(min_length=1)] | ContentPart


class EmbeddingRequest(_Request):
    """What to embed, in the shape of OpenAI's endpoint."""

    input: EmbeddingInput | Annotated[list[EmbeddingInput], Field(min_length=1, max_length=256)] = Field(
        examples=[["a dog in the snow", "rain on a roof"]]
    )
    model: str | None = Field(default=None, description="The library's model, or nothing.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None
    user: str | None = None


class Embedding(BaseModel):
    """One unit vector: numbers, or float32 little-endian in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Words counted, since programs expect it."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """Vectors in the order of the input."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage

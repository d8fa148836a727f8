"""What the API takes and gives, as types that describe themselves in ``/openapi.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from searchkit.query.calibrate import CUTOFF
from searchkit.types import Modality

__all__ = [
    "AssetInfo",
    "Embedding",
    "EmbeddingInput",
    "EmbeddingList",
    "EmbeddingRequest",
    "EmbeddingUsage",
    "ExplainAnswer",
    "ExplainRequest",
    "Health",
    "ModelInfo",
    "ModelList",
    "Problem",
    "RequestModel",
    "SearchAnswer",
    "SearchRequest",
    "SearchResult",
    "SegmentInfo",
    "SegmentSpan",
    "TermInfo",
    "UploadInfo",
    "example",
]

_DOG = "/home/me/photos/dog.jpg"
_WHEN = "2024-05-01T12:00:00"
_RESULT: dict[str, Any] = {
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
    "date": _WHEN,
    "tags": ["holiday"],
    "match": 0.87,
    "copies": [],
    "found_by": ["vectors"],
}
_SEGMENT: dict[str, Any] = {
    "segment_id": 34,
    "encoded_as": "image",
    "start_s": None,
    "end_s": None,
    "text": None,
}
_ASSET: dict[str, Any] = {
    "asset_id": 12,
    "path": _DOG,
    "name": "dog.jpg",
    "modality": "image",
    "mime": "image/jpeg",
    "size_bytes": 94_000,
    "date": _WHEN,
    "added_at": _WHEN,
    "width_px": 1200,
    "height_px": 800,
    "duration_s": None,
    "facts": {},
    "tags": ["holiday"],
    "segments": [_SEGMENT],
}
MAX_QUERY_CHARS = 20_000
MAX_PAGE = 200

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Key = Annotated[int, Field(ge=0, lt=2**63)]


class RequestModel(BaseModel):
    """What a body may hold: nothing that is not known."""

    model_config = ConfigDict(extra="forbid")


def example(
    value: dict[str, Any], *, extra: Literal["allow", "forbid", "ignore"] | None = None
) -> ConfigDict:
    """A model's configuration with an example for ``/openapi.json``."""
    config = ConfigDict(json_schema_extra={"examples": [value]})
    if extra is not None:
        config["extra"] = extra
    return config


class Problem(BaseModel):
    """An error, as RFC 9457 has it; ``detail`` and ``hint`` are the words of the command line."""

    model_config = example(
        {
            "type": "about:blank",
            "title": "The request cannot be answered as asked",
            "status": 400,
            "detail": "no such file: cat.jpg",
            "hint": "send it with the request, or name a file of the library",
            "code": "QueryError",
        },
        extra="allow",
    )

    type: str
    title: str
    status: int
    detail: str
    hint: str = Field(description="What to do next, may be empty.")
    code: str = Field(description="Name of the error; the same names as in `searchkit.errors`.")


class SearchRequest(RequestModel):
    """A search; with a ``cursor`` everything else is taken from it."""

    model_config = example({"query": '"a dog" + 0.5*"in the snow"', "to": ["image"], "where": "date>=2019"})

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
    hybrid: bool = Field(default=False, description="Search names and texts by word as well.")
    centred: bool | None = Field(
        default=None,
        description="Subtract each modality's mean before comparing; null as the library is set.",
    )
    fusion: Literal["calibrated", "rrf"] = Field(
        default="calibrated", description="How several modalities interleave."
    )
    prompts: list[str] = Field(
        default_factory=list,
        max_length=16,
        description="What is embedded for words, `{}` standing for them; several average.",
        examples=[["a photo of {}"]],
    )
    cutoff: float = Field(default=CUTOFF, ge=0, le=1, description="Lowest `match` of a good result.")
    cursor: str | None = Field(
        default=None, max_length=40_000, description="`next_cursor` of the page before."
    )


class ExplainRequest(RequestModel):
    """Why does this file rank where it does?"""

    model_config = example({"query": "a dog in the snow", "asset_id": 12})

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS)
    asset_id: Key | None = None
    path: str | None = Field(default=None, max_length=4096, description="The file, instead of asset_id.")
    to: list[Modality] | None = None
    where: str | None = Field(default=None, max_length=4000)
    hybrid: bool = False
    centred: bool | None = None
    prompts: list[str] = Field(default_factory=list, max_length=16)


class TermShare(BaseModel):
    """What one term added to a score; the shares of all terms sum to it."""

    term: str
    weight: float
    similarity: float
    contribution: float


class ExplainAnswer(BaseModel):
    """Why a file ranks where it does; as ``searchkit explain --json``."""

    model_config = example(
        {
            "path": _DOG,
            "segment_id": 34,
            "score": 0.31,
            "rank": 1,
            "terms": [
                {
                    "term": 'text:"a dog in the snow"',
                    "weight": 1.0,
                    "similarity": 0.31,
                    "contribution": 0.31,
                }
            ],
        },
        extra="allow",
    )

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

    model_config = example(_RESULT, extra="allow")

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

    model_config = example(
        {
            "query": 'text:"a dog in the snow"',
            "terms": [
                {
                    "kind": "text",
                    "weight": 1.0,
                    "value": "a dog in the snow",
                    "source": 'text:"a dog in the snow"',
                }
            ],
            "to": ["image"],
            "where": None,
            "space": "0f3a2b5c7d9e1f02",
            "cutoff": CUTOFF,
            "results": [_RESULT],
            "next_cursor": "eNqrVkrLz1eyUkpKLFKqBQAmFAR0",
            "took_ms": 12.5,
        },
        extra="allow",
    )

    query: str = Field(description="The query in its own grammar.")
    terms: list[TermInfo]
    to: list[Modality] | None = Field(default=None, description="What was to be found.")
    where: str | None = Field(default=None, description="The filter that was set.")
    space: str = Field(description="Fingerprint of the space that was searched.")
    cutoff: float = Field(default=CUTOFF, description="Lowest `match` of a good result.")
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

    model_config = example(_ASSET)

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

    model_config = example({"segment": _SEGMENT, "asset": _ASSET})

    segment: SegmentSpan
    asset: AssetInfo


class UploadInfo(BaseModel):
    """A kept upload: put ``source`` into a query."""

    model_config = example(
        {
            "id": "upload/0f3a2b5c7d9e1f02a4b6c8d0e2f40618",
            "name": "bark.wav",
            "modality": "audio",
            "mime": "audio/wav",
            "size_bytes": 79_000,
            "width_px": None,
            "height_px": None,
            "duration_s": 1.8,
            "source": "audio:upload/0f3a2b5c7d9e1f02a4b6c8d0e2f40618",
        }
    )

    id: str
    name: str
    modality: Modality
    mime: str
    size_bytes: int
    width_px: int | None
    height_px: int | None
    duration_s: float | None
    source: str


class ImageUrl(RequestModel):
    """A picture."""

    url: str = Field(description="A data: URL.")
    detail: str | None = None


class InputAudio(RequestModel):
    """A sound."""

    data: str = Field(description="Its bytes in base64.")
    format: str | None = None


class ContentPart(RequestModel):
    """One input, as chat messages have them."""

    type: Literal["text", "image_url", "input_audio"]
    text: str | None = Field(default=None, min_length=1, max_length=MAX_QUERY_CHARS)
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None


EmbeddingInput = Annotated[str, StringConstraints(min_length=1)] | ContentPart


class EmbeddingRequest(RequestModel):
    """What to embed, in the shape of OpenAI's endpoint."""

    model_config = example(
        {
            "input": [
                "a dog in the snow",
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
            "encoding_format": "float",
        }
    )

    input: EmbeddingInput | Annotated[list[EmbeddingInput], Field(min_length=1, max_length=256)]
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

    model_config = example(
        {
            "object": "list",
            "model": "mini",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.12, -0.03, 0.98]}],
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
    )

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


class Health(BaseModel):
    """How the server is."""

    model_config = example({"status": "ok"})

    status: str


class ModelInfo(BaseModel):
    """A model that embeddings can be asked of, in the shape of OpenAI's endpoint."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "searchkit"


class ModelList(BaseModel):
    """The models of this server: the one of its library."""

    model_config = example(
        {"object": "list", "data": [{"id": "mini", "object": "model", "created": 0, "owned_by": "searchkit"}]}
    )

    object: Literal["list"] = "list"
    data: list[ModelInfo]

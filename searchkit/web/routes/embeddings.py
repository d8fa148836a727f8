"""``/v1/embeddings``: vectors of words, pictures and sounds, in the shape of OpenAI's endpoint."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from fastapi import APIRouter

from searchkit.errors import QueryError
from searchkit.query import Query, Term, Text, embed_query
from searchkit.query.algebra import Audio, Image, Operand, Reading, Video
from searchkit.types import FloatArray, Modality
from searchkit.web.models import (
    Embedding,
    EmbeddingInput,
    EmbeddingList,
    EmbeddingRequest,
    EmbeddingUsage,
    ModelInfo,
    ModelList,
)
from searchkit.web.served import Served, ServedLibrary

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["search"])

_MAKERS: dict[Modality, type[Image] | type[Audio] | type[Video]] = {
    Modality.IMAGE: Image,
    Modality.AUDIO: Audio,
    Modality.VIDEO: Video,
}


@router.post("/embeddings")
def embeddings(wanted: EmbeddingRequest, served: ServedLibrary) -> EmbeddingList:
    """Embed words, pictures and sounds as unit vectors of the library's space.

    ``input`` is a text, a ``data:`` URL, a content part as chat messages have them, or a list of those.
    """
    model = served.encoder.space.encoder
    if wanted.model is not None and wanted.model not in (model, served.library.settings.model):
        raise QueryError(
            f"this server embeds with {model!r}, not with {wanted.model!r}", hint="leave model out"
        )
    inputs = wanted.input if isinstance(wanted.input, list) else [wanted.input]
    operands = [_operand(served, entry, number) for number, entry in enumerate(inputs)]
    # One query of all inputs embeds them in one call; a query holds a term once.
    unique = list(dict.fromkeys(operands))
    query = Query(Term(1.0, operand) for operand in unique)
    embedded = embed_query(query, served.encoder, load=served.load, fetch=_no_segments).term_vectors
    row_of = dict(zip(unique, embedded, strict=True))
    rows = [row_of[operand] for operand in operands]
    tokens = sum(len(operand.text.split()) for operand in operands if isinstance(operand, Text))
    return EmbeddingList(
        object="list",
        model=model,
        data=[
            Embedding(object="embedding", index=number, embedding=_written(row, wanted.encoding_format))
            for number, row in enumerate(rows)
        ],
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _operand(served: Served, entry: EmbeddingInput, number: int) -> Operand:
    if isinstance(entry, str):
        if not entry.startswith("data:"):
            return Text(entry)
        return _media(served, entry, number)
    if entry.text is not None:
        return Text(entry.text)
    if entry.image_url is not None:
        return _media(served, entry.image_url.url, number)
    if entry.input_audio is not None:
        return _media(served, f"data:;base64,{entry.input_audio.data}", number)
    raise QueryError(f"input {number} has none of text, image_url, input_audio")


def _media(served: Served, url: str, number: int) -> Operand:
    head, comma, body = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma:
        raise QueryError(
            f"input {number}: media are sent as data:...;base64,... URLs",
            hint="nothing is fetched from other addresses",
        )
    try:
        content = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise QueryError(f"input {number} is not base64") from None
    upload = served.uploads.add(content, f"input {number}")
    path = served.uploads.get(upload.id)[1]
    served.shown_path(path, upload.name)
    if upload.modality.is_plugged:
        return Reading(upload.modality, str(path))
    return _MAKERS[upload.modality](str(path))


def _written(row: FloatArray, encoding_format: str) -> list[float] | str:
    if encoding_format == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return [float(value) for value in np.asarray(row, np.float64)]


def _no_segments(segment_id: int) -> FloatArray:
    raise QueryError(f"there is no segment {segment_id} here")


@router.get("/models")
def models(served: ServedLibrary) -> ModelList:
    """The model that ``/v1/embeddings`` embeds with, for programs that ask first."""
    return ModelList(data=[ModelInfo(id=served.encoder.space.encoder)])

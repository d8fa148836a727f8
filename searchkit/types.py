"""The values that travel between searchkit's parts; imports no sibling but modalities and errors."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from searchkit.modality import Modality

__all__ = [
    "ArraySample",
    "AudioSample",
    "Encoder",
    "FloatArray",
    "Hit",
    "IdArray",
    "ImageSample",
    "Modality",
    "Result",
    "Results",
    "Sample",
    "Space",
    "Span",
    "TextSample",
    "VectorStore",
    "safe_text",
    "strings",
]

FloatArray: TypeAlias = npt.NDArray[np.float32]
IdArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The half-open time range ``[start_s, end_s)`` of a sound, a video or a subtitle, in seconds."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s)):
            raise ValueError(f"a span needs finite times, got [{self.start_s}, {self.end_s})")
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"a span needs 0 <= start_s < end_s, got [{self.start_s}, {self.end_s})")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, eq=False)
class TextSample:
    """A passage of text."""

    modality: ClassVar[Modality] = Modality.TEXT
    text: str
    span: Span | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"a text sample needs a str, got {type(self.text).__name__}")


@dataclass(frozen=True, slots=True, eq=False)
class ImageSample:
    """A picture, or one frame of a video: ``pixels`` is (H, W, 3) uint8, RGB, rows from the top."""

    modality: ClassVar[Modality] = Modality.IMAGE
    pixels: npt.NDArray[np.uint8]
    span: Span | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or shape[0] < 1 or shape[1] < 1 or dtype != np.uint8:
            raise ValueError(f"an image sample needs (H, W, 3) uint8 with H, W >= 1, got {shape} {dtype}")


@dataclass(frozen=True, slots=True, eq=False)
class AudioSample:
    """A sound, or a window of one: ``waveform`` is (n,) float32, mono, nominally in [-1, 1]."""

    modality: ClassVar[Modality] = Modality.AUDIO
    waveform: FloatArray
    rate_hz: int
    span: Span | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.waveform.shape, self.waveform.dtype
        if len(shape) != 1 or shape[0] < 1 or dtype != np.float32:
            raise ValueError(f"an audio sample needs (n,) float32 with n >= 1, got {shape} {dtype}")
        if self.rate_hz < 1:
            raise ValueError(f"an audio sample needs rate_hz >= 1, got {self.rate_hz}")
        if not bool(np.isfinite(self.waveform).all()):
            raise ValueError("an audio sample needs finite values, got NaN or infinity")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.waveform.shape[0]) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class ArraySample:
    """One thing of a plugged-in modality: ``values`` is a float32 array whose shape its plug decides."""

    modality: Modality
    values: FloatArray
    span: Span | None = None

    def __post_init__(self) -> None:
        if not self.modality.is_plugged:
            raise ValueError(f"{self.modality} has a sample class of its own")
        shape, dtype = self.values.shape, self.values.dtype
        if not shape or 0 in shape or dtype != np.float32:
            raise ValueError(f"an array sample needs a float32 array with values, got {shape} {dtype}")
        if not bool(np.isfinite(self.values).all()):
            raise ValueError("an array sample needs finite values, got NaN or infinity")


Sample: TypeAlias = TextSample | ImageSample | AudioSample | ArraySample


def safe_text(text: str) -> str:
    """Text that JSON can carry: bytes that are no UTF-8 become U+FFFD."""
    has_escapes = any("\ud800" <= char <= "\udfff" for char in text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if has_escapes else text


def strings(given: str | Sequence[str]) -> tuple[str, ...]:
    """One string or several, as several: a string alone is a sequence too, of its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(frozen=True, slots=True)
class Space:
    """Where vectors live: two vectors may be compared only when their spaces have one fingerprint.

    Attributes:
        encoder: the encoder's name, such as "mini".
        revision: identity of its weights.
        preprocessing: identity of everything between the file and the weights that changes vectors.
        dim: length of a vector.
    """

    encoder: str
    revision: str
    preprocessing: str
    dim: int

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"a space needs dim >= 1, got {self.dim}")

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change when any attribute does."""
        text = "\x1f".join((self.encoder, self.revision, self.preprocessing, str(self.dim)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.encoder}-{self.dim}-{self.fingerprint[:8]}"


@dataclass(frozen=True, slots=True)
class Hit:
    """One row that a store found: the segment's id and its score (inner product; higher is better)."""

    id: int
    score: float


@dataclass(frozen=True, slots=True)
class Result:
    """A hit joined with what the library knows of it.

    Attributes:
        rank: counts from 1.
        path: the asset's file.
        modality: what the asset is; a video's frames and sound are VIDEO.
        score: cosine of query and segment (or ``text``, where that found it); higher is better.
        span: which part of the asset, None for the whole of it.
        asset_id: the asset's key; stays when the file moves.
        segment_id: the segment's key, for "more like this": ``id:123``.
        text: the passage, for texts; of another file that of the text beside it, where that found it.
        match: probability, 0 to 1, that it is a match and no chance find; None where the library is too small
            to tell.
        z: how far its score lies above those of unrelated segments, in their spreads; None likewise.
        copies: other files of the library with the same content.
        found_by: what found it: "vectors", "words" (of its name or text), "name" (it was asked for by name).
    """

    rank: int
    path: Path
    modality: Modality
    score: float
    span: Span | None
    asset_id: int
    segment_id: int
    text: str | None = None
    match: float | None = None
    z: float | None = None
    copies: tuple[Path, ...] = ()
    found_by: tuple[str, ...] = ("vectors",)

    def is_good(self, cutoff: float) -> bool:
        """Whether it reaches a cut-off on ``match``, was found by words, or cannot be judged."""
        return self.match is None or self.match >= cutoff or self.found_by != ("vectors",)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times are seconds, null for a whole asset."""
        return {
            "rank": self.rank,
            "path": str(self.path),
            "modality": self.modality.value,
            "score": round(self.score, 6),
            "start_s": None if self.span is None else self.span.start_s,
            "end_s": None if self.span is None else self.span.end_s,
            "asset_id": self.asset_id,
            "segment_id": self.segment_id,
            "text": self.text,
            "match": None if self.match is None else round(self.match, 4),
            "z": None if self.z is None else round(self.z, 3),
            "copies": [str(copy) for copy in self.copies],
            "found_by": list(self.found_by),
        }


@dataclass(frozen=True, slots=True)
class Results(Sequence[Result]):
    """The answer to a query, best first.

    Attributes:
        query: the query's source text.
        space: the space that was searched.
        found: the results, good or not.
        cutoff: lowest ``match`` of a good one.
    """

    query: str
    space: str
    found: tuple[Result, ...]
    cutoff: float = 0.0

    @property
    def good(self) -> tuple[Result, ...]:
        """The results that are no chance finds (or cannot be judged), best first; empty: no good match."""
        return tuple(result for result in self.found if result.is_good(self.cutoff))

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Result, ...]: ...
    def __getitem__(self, index: int | slice) -> Result | tuple[Result, ...]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "query": self.query,
            "space": self.space,
            "cutoff": self.cutoff,
            "good": len(self.good),
            "results": [result.to_dict() for result in self.found],
        }


class Encoder(Protocol):
    """Turns samples into unit vectors of one space."""

    @property
    def space(self) -> Space:
        """The space that the vectors live in."""
        ...

    @property
    def modalities(self) -> frozenset[Modality]:
        """What it can embed: some of TEXT, IMAGE and AUDIO, and modalities that plugs add."""
        ...

    @property
    def audio_rate_hz(self) -> int:
        """The sample rate that sounds must have."""
        ...

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """Embed samples of any mix of modalities, in order.

        Returns:
            (N, dim) float32 unit rows; a row does not depend on its neighbours in the batch.

        Raises:
            ModalityUnsupported: a sample is of a modality that this encoder lacks.
            EncoderError: a sample cannot be embedded.
        """
        ...

    def close(self) -> None:
        """Free what was loaded; the encoder loads again when it is used again."""
        ...


class VectorStore(Protocol):
    """The vectors of one collection, keyed by segment id; scores are inner products of unit rows."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def __len__(self) -> int: ...

    def upsert(self, ids: Sequence[int] | IdArray, vectors: FloatArray) -> None:
        """Insert or replace rows: ids (N,) non-negative, vectors (N, dim) finite unit rows; idempotent.

        Raises:
            DimensionMismatch: the vectors have another length.
            InvalidVector: a row is not finite or not of unit length; nothing is stored.
        """
        ...

    def delete(self, ids: Sequence[int] | IdArray) -> None:
        """Remove rows; unknown ids are fine."""
        ...

    def flush(self) -> None:
        """Return when all earlier writes would survive a power cut."""
        ...

    def fetch(self, ids: Sequence[int] | IdArray) -> FloatArray:
        """Rows (N, dim) in the order asked.

        Raises:
            UnknownId: an id is not stored.
        """
        ...

    def ids(self) -> IdArray:
        """All stored ids, ascending, (len(self),)."""
        ...

    def search(
        self, queries: FloatArray, k: int, *, among: Sequence[int] | IdArray | None = None
    ) -> list[list[Hit]]:
        """The k rows with the highest inner product, for each query row of (Q, dim).

        Args:
            queries: (Q, dim) float32 rows of any length but zero.
            k: how many hits a query gets at most, >= 1.
            among: the only ids allowed, applied before top-k; None allows all.

        Returns:
            One list a query, best first; equal scores in ascending order of id.

        Raises:
            DimensionMismatch: the queries have another length.
        """
        ...

    def close(self) -> None:
        """Release files and locks; flushed rows stay."""
        ...

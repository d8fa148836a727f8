"""How a decoder in another process answers: JSON for what is small, raw bytes for pixels and waveforms.

Neither side unpickles, so that a decoder which a file has taken over cannot run code in the caller.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

import numpy as np

from searchkit.modality import Modality
from searchkit.types import ArraySample, AudioSample, ImageSample, Sample, Span, TextSample

__all__ = ["pack_sample", "read_message", "unpack_sample", "write_message"]

_LENGTHS = struct.Struct("<IQ")


def write_message(stream: BinaryIO, message: dict[str, Any], body: memoryview | None = None) -> None:
    """Send a message and the bytes that belong to it; ``stream`` is unbuffered."""
    text = json.dumps(message).encode()
    _write_all(stream, memoryview(_LENGTHS.pack(len(text), body.nbytes if body else 0) + text))
    if body:
        _write_all(stream, body)


def _write_all(stream: BinaryIO, data: memoryview) -> None:
    while data:
        data = data[stream.write(data) :]


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], np.ndarray[Any, np.dtype[np.uint8]]]:
    """The next message and its bytes, (n,) uint8; ``stream`` is unbuffered.

    Raises:
        EOFError: the other side is gone.
    """
    text_bytes, body_bytes = _LENGTHS.unpack(_read_all(stream, _LENGTHS.size).tobytes())
    message: dict[str, Any] = json.loads(_read_all(stream, text_bytes).tobytes())
    return message, _read_all(stream, body_bytes)


def _read_all(stream: BinaryIO, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    data = np.empty(count, dtype=np.uint8)
    rest = data.data
    while rest:
        got = stream.readinto(rest)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        rest = rest[got:]
    return data


def pack_sample(sample: Sample) -> tuple[dict[str, Any], memoryview | None]:
    """A sample as a message and its bytes."""
    span = [sample.span.start_s, sample.span.end_s] if sample.span else None
    if isinstance(sample, TextSample):
        return {"text": sample.text, "span": span}, None
    if isinstance(sample, ImageSample):
        pixels = np.ascontiguousarray(sample.pixels)
        return {"shape": pixels.shape, "span": span}, pixels.data.cast("B")
    if isinstance(sample, ArraySample):
        values = np.ascontiguousarray(sample.values)
        return {"modality": sample.modality, "shape": values.shape, "span": span}, values.data.cast("B")
    waveform = np.ascontiguousarray(sample.waveform)
    return {"rate_hz": sample.rate_hz, "span": span}, waveform.data.cast("B")


def unpack_sample(message: dict[str, Any], body: np.ndarray[Any, np.dtype[np.uint8]]) -> Sample:
    """The sample that ``pack_sample`` took apart; it keeps the bytes without copying them."""
    span = Span(*message["span"]) if message["span"] else None
    if "text" in message:
        return TextSample(message["text"], span)
    if "modality" in message:
        values = body.view(np.float32).reshape(message["shape"])
        return ArraySample(Modality(message["modality"]), values, span)
    if "shape" in message:
        return ImageSample(body.reshape(message["shape"]), span)
    return AudioSample(body.view(np.float32), message["rate_hz"], span)

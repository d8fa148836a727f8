"""Embeddings without a library: words and files to unit rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from searchkit.config import default_library, load_settings
from searchkit.durable import replace_file
from searchkit.encoders import open_encoder
from searchkit.errors import QueryError, UsageError
from searchkit.loading import decode_settings_for, load_samples
from searchkit.query import Query, audio, embed_query, image, parse, text
from searchkit.types import FloatArray, Space

__all__ = ["embed_files", "save_rows"]

_MAKERS: dict[str, Callable[[str], Query]] = {"text": text, "audio": audio, "image": image, "expr": parse}


def embed_files(
    terms: Sequence[tuple[str, str]],
    *,
    library: Path | None = None,
    model: str | None = None,
    model_dir: Path | None = None,
) -> tuple[FloatArray, Space]:
    """Embed words and files.

    Args:
        terms: pairs of a kind ("text", "audio", "image", "expr") and words, a path, or a query.
        library: whose settings to use; it need not exist.
        model: encoder, when not the settings'.
        model_dir: where its files lie.

    Returns:
        (N, dim) float32 unit rows, and the space they live in.

    Raises:
        UsageError: there are no terms.
        DecodeError: a file cannot be read.
    """
    if not terms:
        raise UsageError("there is nothing to embed", hint='searchkit embed --text "a dog" --out dog.npy')
    settings = load_settings(library or default_library(), {"model": model, "model_dir": model_dir})
    encoder = open_encoder(settings.model, settings.model_dir)
    try:
        decoding = decode_settings_for(encoder, settings)
        rows = [
            embed_query(
                _MAKERS[kind](value),
                encoder,
                load=lambda path, modality: load_samples(path, modality, decoding),
                fetch=_no_segments,
            ).vector
            for kind, value in terms
        ]
        return np.stack(rows), encoder.space
    finally:
        encoder.close()


def _no_segments(segment_id: int) -> FloatArray:
    raise QueryError(f"there is no library to take segment {segment_id} from")


def save_rows(path: Path, rows: FloatArray) -> None:
    """Write rows as a ``.npy`` file, whole or not at all.

    Raises:
        UsageError: the folder does not exist.
        DiskFull: the device is full.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {path.parent}", hint=f"mkdir -p '{path.parent}'")
    with replace_file(path.absolute()) as file:
        np.save(file, rows)

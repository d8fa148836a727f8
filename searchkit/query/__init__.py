"""Queries: composed, embedded, fused, filtered, calibrated; knows no library and prints nothing.

Names load when they are first used, so that reading a query's text imports no numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from searchkit.query.algebra import (
    KINDS,
    Audio,
    Image,
    Operand,
    Query,
    Segment,
    Term,
    Text,
    Video,
    audio,
    image,
    segment,
    text,
    video,
)
from searchkit.query.flags import from_flags
from searchkit.query.grammar import parse

if TYPE_CHECKING:
    from searchkit.query.embed import EmbeddedQuery, embed_query
    from searchkit.query.filters import Filter, parse_filter
    from searchkit.query.fuse import (
        FusedHit,
        Located,
        best_per_asset,
        fuse_scores,
        merge_neighbours,
        reciprocal_rank_fusion,
    )

__all__ = [
    "KINDS",
    "Audio",
    "EmbeddedQuery",
    "Filter",
    "FusedHit",
    "Image",
    "Located",
    "Operand",
    "Query",
    "Segment",
    "Term",
    "Text",
    "Video",
    "audio",
    "best_per_asset",
    "embed_query",
    "from_flags",
    "fuse_scores",
    "image",
    "merge_neighbours",
    "parse",
    "parse_filter",
    "reciprocal_rank_fusion",
    "segment",
    "text",
    "video",
]

_LAZY = {
    **dict.fromkeys(("EmbeddedQuery", "embed_query"), "embed"),
    **dict.fromkeys(("Filter", "parse_filter"), "filters"),
    **dict.fromkeys(
        (
            "FusedHit",
            "Located",
            "best_per_asset",
            "fuse_scores",
            "merge_neighbours",
            "reciprocal_rank_fusion",
        ),
        "fuse",
    ),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"searchkit.query.{_LAZY[name]}"), name)

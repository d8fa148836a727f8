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
    Reading,
    Segment,
    Term,
    Text,
    Video,
    absolute,
    audio,
    image,
    reading,
    segment,
    text,
    video,
)
from searchkit.query.flags import from_flags
from searchkit.query.grammar import parse

if TYPE_CHECKING:
    from searchkit.query.calibrate import CUTOFF, Background, background_ids, good_matches
    from searchkit.query.diverse import maximal_marginal_relevance
    from searchkit.query.dupes import near_duplicates
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
    from searchkit.query.gap import Moments, Whitening, centre, csls, inverted_softmax, whitening
    from searchkit.query.measures import Evaluation, evaluate
    from searchkit.query.rocchio import feedback

__all__ = [
    "CUTOFF",
    "KINDS",
    "Audio",
    "Background",
    "EmbeddedQuery",
    "Evaluation",
    "Filter",
    "FusedHit",
    "Image",
    "Located",
    "Moments",
    "Operand",
    "Query",
    "Reading",
    "Segment",
    "Term",
    "Text",
    "Video",
    "Whitening",
    "absolute",
    "audio",
    "background_ids",
    "best_per_asset",
    "centre",
    "csls",
    "embed_query",
    "evaluate",
    "feedback",
    "from_flags",
    "fuse_scores",
    "good_matches",
    "image",
    "inverted_softmax",
    "maximal_marginal_relevance",
    "merge_neighbours",
    "near_duplicates",
    "parse",
    "parse_filter",
    "reading",
    "reciprocal_rank_fusion",
    "segment",
    "text",
    "video",
    "whitening",
]

_LAZY = {
    "calibrate": ("CUTOFF", "Background", "background_ids", "good_matches"),
    "diverse": ("maximal_marginal_relevance",),
    "dupes": ("near_duplicates",),
    "embed": ("EmbeddedQuery", "embed_query"),
    "filters": ("Filter", "parse_filter"),
    "fuse": (
        "FusedHit",
        "Located",
        "best_per_asset",
        "fuse_scores",
        "merge_neighbours",
        "reciprocal_rank_fusion",
    ),
    "gap": ("Moments", "Whitening", "centre", "csls", "inverted_softmax", "whitening"),
    "measures": ("Evaluation", "evaluate"),
    "rocchio": ("feedback",),
}
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"searchkit.query.{_MODULE_OF[name]}"), name)

"""Where the default store switches between its ways of working; measured, and never needed to be set."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Tuning"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Numbers of rows unless said otherwise.

    Attributes:
        seal: what the log takes before it becomes a segment; bounds what opening has to read.
        exact: a collection of up to so many is scanned exactly; larger ones get codes.
        coded: a segment of fewer gets no codes, since it will be merged soon.
        exact_allowed: up to so many allowed rows of a part are scored exactly even where there are codes.
        graph: a segment of so many gets a graph as well.
        graph_share: the graph is used when at least this share of the segment's rows is allowed.
        gpu: hold rows on a GPU, where there is one.
        rescored: candidates found by codes that get true scores, for each query; at least four for each hit.
        tier: so many segments of like size are merged into one.
        most_dead: a segment with a larger share of dead rows is rewritten.
    """

    seal: int = 4096
    exact: int = 20_000
    coded: int = 4096
    exact_allowed: int = 1000
    graph: int = 1_000_000
    graph_share: float = 0.5
    gpu: bool = False
    rescored: int = 300
    tier: int = 4
    most_dead: float = 0.25

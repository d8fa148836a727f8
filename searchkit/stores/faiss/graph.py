"""A graph over a large segment's rows, walked by FAISS to find candidates; derived, and rebuilt when lost.

HNSW (Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical
Navigable Small World Graphs", TPAMI 2020). The file holds the links alone: rows are read where they are, in
the segment. A walk loses recall when few rows are allowed, so such searches scan the codes instead.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.durable import replace_file
from searchkit.stores.faiss.manifest import FileEntry
from searchkit.stores.faiss.scan import flat_index
from searchkit.stores.faiss.segment import Checksum, Segment, unless_stopped
from searchkit.types import FloatArray

__all__ = ["GRAPH_SUFFIX", "Graph", "build_graph", "graph_of"]

GRAPH_SUFFIX = ".graph"

# at a million rows, 24 links built at width 100 lose six in a hundred for queries of another modality
_LINKS = 32
_BUILD_WIDTH = 200
_SEARCH_WIDTH = 1024  # half of it loses one in a hundred of those
_BUILD_ROWS = 2000


class Graph:
    """A segment's graph, mapped: ``search`` gives candidates with their float32 scores."""

    def __init__(self, path: Path, segment: Segment) -> None:
        import faiss

        flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_SKIP_STORAGE
        index, rows = faiss.read_index(str(path), flags), flat_index(segment)
        if rows is None or index.ntotal != segment.entry.count:
            raise RuntimeError(f"{path} does not fit the rows")
        self._rows, self._index = rows, _with_rows(index, rows)

    def search(
        self, units: FloatArray, count: int, allowed: npt.NDArray[np.uint8] | None
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Positions and scores (Q, count) of the best rows found; -1 where there are fewer.

        Args:
            units: (Q, dim) float32 unit queries.
            count: how many candidates a query gets.
            allowed: one bit a row, least significant first; None allows all.
        """
        import faiss

        parameters: Any = faiss.SearchParametersHNSW(  # type: ignore[attr-defined]
            efSearch=max(_SEARCH_WIDTH, count)
        )
        if allowed is not None:
            parameters.sel = faiss.IDSelectorBitmap(allowed)  # type: ignore[call-arg, arg-type]
        scores, positions = self._index.search(units, count, params=parameters)
        return positions, scores


def build_graph(segment: Segment, stop: threading.Event) -> FileEntry:
    """Write a segment's graph durably. Takes memory for a copy of the rows meanwhile.

    Raises:
        DiskFull: the device is full.
        Stopped: ``stop`` was set.
    """
    import faiss

    index = faiss.IndexHNSWSQ(
        segment.dim,
        faiss.ScalarQuantizer.QT_fp16,  # type: ignore[arg-type]
        _LINKS,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.hnsw.efConstruction = _BUILD_WIDTH
    index.is_trained = True
    for start in unless_stopped(range(0, len(segment.rows), _BUILD_ROWS), stop):
        index.add(segment.rows[start : start + _BUILD_ROWS].astype(np.float32))
    name = segment.entry.name + GRAPH_SUFFIX
    links: Any = faiss.VectorIOWriter()
    faiss.write_index(index, links, faiss.IO_FLAG_SKIP_STORAGE)
    with replace_file(segment.folder / name) as file:
        written = Checksum(file)
        written.write(faiss.vector_to_array(links.data).data)
        return written.entry(name)


def graph_of(segment: Segment) -> Graph | None:
    """A segment's graph, opened once; None when it has none."""
    if not segment.has(GRAPH_SUFFIX):
        return None
    name = segment.entry.name + GRAPH_SUFFIX
    return segment.opened(GRAPH_SUFFIX, name, lambda path: Graph(path, segment))


def _with_rows(index: Any, rows: Any) -> Any:
    index.storage = rows
    # the segment keeps the rows: freeing the graph must not free them
    index.own_fields = False
    return index

"""A segment's rows held on a GPU by faiss-gpu, scanned exactly; not run by the tests, which have no GPU.

Searches that allow only some rows stay on the CPU: flat indexes on a GPU take no selector.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.stores.faiss.segment import Segment
from searchkit.types import FloatArray

__all__ = ["GpuRows", "gpu_is_there", "gpu_rows_of"]

_ADD_ROWS = 16_384
_MOST_CANDIDATES = 2048  # what faiss's selection on a GPU can give
_log = logging.getLogger(__name__)


class GpuRows:
    """A segment's rows as float16 on the first GPU: ``search`` gives candidates with float32 scores.

    Raises:
        RuntimeError: they do not fit.
    """

    def __init__(self, segment: Segment) -> None:
        faiss: Any = _faiss()
        configuration = faiss.GpuIndexFlatConfig()
        configuration.useFloat16 = True
        self._index = faiss.GpuIndexFlatIP(_resources(), segment.dim, configuration)
        for start in range(0, len(segment.rows), _ADD_ROWS):
            self._index.add(segment.rows[start : start + _ADD_ROWS].astype(np.float32))

    def search(
        self, units: FloatArray, count: int, allowed: npt.NDArray[np.uint8] | None
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Positions and scores (Q, count) of the best rows for unit queries; all rows are allowed."""
        assert allowed is None
        scores, positions = self._index.search(units, min(count, _MOST_CANDIDATES))
        return positions, scores


def gpu_rows_of(segment: Segment) -> GpuRows | None:
    """A segment's rows on the GPU, sent there once; None when they do not fit."""
    return segment.opened(".gpu", segment.entry.rows.name, lambda _: GpuRows(segment))


@cache
def gpu_is_there() -> bool:
    """Whether faiss can use a GPU; says so once, with what to do, when it cannot."""
    faiss: Any = _faiss()
    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        return True
    _log.warning(
        "no GPU that faiss can use: searching on the CPU (pip install 'searchkit[gpu]' brings faiss-gpu)"
    )
    return False


def _faiss() -> Any:
    import faiss

    return faiss


@cache
def _resources() -> Any:
    return _faiss().StandardGpuResources()

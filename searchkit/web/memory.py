"""What was found for the latest queries, so that a next page continues the list that the first one began."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from searchkit.types import Results

__all__ = ["SearchMemory"]

_KEEP_S = 300.0
_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Found:
    results: Results
    k: int
    at_s: float


class SearchMemory:
    """Lists of results by what was asked; first pages are always searched anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, _Found] = OrderedDict()

    def results(
        self,
        key: Hashable,
        search: Callable[[int], Results],
        *,
        offset: int,
        stop: int,
        deepest: int,
        least: int = 1,
    ) -> Results:
        """Results to beyond ``stop``, when there are as many.

        Args:
            key: what was asked.
            search: finds so many.
            offset: where the page begins.
            stop: where it ends.
            deepest: how far anyone may page.
            least: how many are searched for at least.
        """
        now_s = time.monotonic()
        with self._lock:
            known = self._found.get(key)
        if offset and known is not None and now_s - known.at_s < _KEEP_S:
            is_all = len(known.results) < known.k
            if stop < known.k or is_all:
                return known.results
        # One more than is shown tells whether there is a next page; later pages come several at a time.
        k = max(least, stop + 1 if offset == 0 else min(deepest, 3 * stop) + 1)
        results = search(k)
        with self._lock:
            self._found[key] = _Found(results, k, now_s)
            self._found.move_to_end(key)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return results

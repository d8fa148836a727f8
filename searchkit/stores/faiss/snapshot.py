"""What a collection holds at one moment: an immutable value that a search keeps while writes go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from searchkit.stores.base import last_of_each
from searchkit.stores.faiss.segment import HalfArray, Segment
from searchkit.types import IdArray

__all__ = ["Part", "Snapshot", "Tail"]

BoolArray = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of one segment, or of the tail when ``segment`` is None.

    Attributes:
        ids: (N,) int64; ascending in a segment, in order of arrival in the tail.
        rows: (N, dim) float16.
        alive: (N,) bool, or None when all are.
        segment: where the rows are sealed.
    """

    ids: IdArray
    rows: HalfArray
    alive: BoolArray | None = None
    segment: Segment | None = None

    @cached_property
    def live_count(self) -> int:
        """Rows that are alive."""
        return len(self.ids) if self.alive is None else int(np.count_nonzero(self.alive))

    @cached_property
    def _order(self) -> Positions | None:
        # positions by ascending id; None when the ids are in order as they are
        if self.segment is not None:
            return None
        live = np.arange(len(self.ids)) if self.alive is None else np.flatnonzero(self.alive)
        return live[np.argsort(self.ids[live], kind="stable")]

    @cached_property
    def alive_bits(self) -> npt.NDArray[np.uint8] | None:
        """``alive`` with one bit a row, least significant first; None when all are."""
        return None if self.alive is None else np.packbits(self.alive, bitorder="little")

    def live_positions(self) -> Positions:
        """Positions of the rows that are alive, by ascending id."""
        if self._order is not None:
            return self._order
        return np.arange(len(self.ids)) if self.alive is None else np.flatnonzero(self.alive)

    def find(self, ids: IdArray) -> Positions:
        """Position of each id, -1 where it is absent or dead."""
        order = self._order
        known = self.ids if order is None else self.ids[order]
        if not len(known) or not len(ids):
            return np.full(len(ids), -1, dtype=np.intp)
        # most writes carry ids beyond those of any older segment
        if int(ids.min()) > int(known[-1]) or int(ids.max()) < int(known[0]):
            return np.full(len(ids), -1, dtype=np.intp)
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        found = np.where(known[place] == ids, place if order is None else order[place], -1)
        if self.alive is not None:
            found = np.where((found >= 0) & self.alive[found], found, -1)
        return found.astype(np.intp)

    def mask_of(self, ids: IdArray) -> BoolArray:
        """Which rows (N,) are alive and among ``ids``, which ascend."""
        mask = np.zeros(len(self.ids), dtype=np.bool_)
        if self.segment is not None:
            first, last = self.segment.first_id, self.segment.last_id
            ids = ids[np.searchsorted(ids, first) : np.searchsorted(ids, last, side="right")]
            # a table of the segment's range of ids beats looking up many ids one by one
            if len(ids) > len(mask) // 16 and last - first < 16 * len(mask):
                table = np.zeros(last - first + 1, dtype=np.bool_)
                table[ids - first] = True
                np.take(table, self.ids - first, out=mask)
                return mask if self.alive is None else mask & self.alive
        found = self.find(ids)
        mask[found[found >= 0]] = True
        return mask

    def without(self, ids: IdArray) -> Part:
        """The same rows with those ids dead."""
        found = self.find(ids)
        found = found[found >= 0]
        if not len(found):
            return self
        alive = np.ones(len(self.ids), dtype=np.bool_) if self.alive is None else self.alive.copy()
        alive[found] = False
        return replace(self, alive=alive)


class Tail:
    """Growing memory for rows that are not sealed yet; rows once written are never changed."""

    def __init__(self, dim: int) -> None:
        self._ids = np.empty(0, dtype=np.int64)
        self._rows = np.empty((0, dim), dtype=np.float16)

    def append(self, part: Part, ids: IdArray, rows: HalfArray) -> Part:
        """The tail's part with more rows; ``part`` is the newest one that this tail gave."""
        count, total = len(part.ids), len(part.ids) + len(ids)
        if total > len(self._ids):
            capacity = max(total, 2 * len(self._ids), 256)
            # parts given earlier keep the old memory
            self._ids = np.concatenate([part.ids, np.empty(capacity - count, dtype=np.int64)])
            empty = np.empty((capacity - count, part.rows.shape[1]), dtype=np.float16)
            self._rows = np.concatenate([part.rows, empty])
        self._ids[count:total] = ids
        self._rows[count:total] = rows
        alive = part.alive
        if alive is not None:
            alive = np.concatenate([alive, np.ones(len(ids), dtype=np.bool_)])
        return Part(self._ids[:total], self._rows[:total], alive)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All parts of a collection; no id is alive in two of them."""

    segments: tuple[Part, ...]
    tail: Part

    @staticmethod
    def empty(dim: int) -> Snapshot:
        """A collection with no rows."""
        return Snapshot((), Part(np.empty(0, dtype=np.int64), np.empty((0, dim), dtype=np.float16)))

    @property
    def parts(self) -> tuple[Part, ...]:
        """Sealed parts, then the tail."""
        return (*self.segments, self.tail)

    def __len__(self) -> int:
        return sum(part.live_count for part in self.parts)

    def ids(self) -> IdArray:
        """Ids that are alive, ascending."""
        return np.sort(np.concatenate([part.ids[part.live_positions()] for part in self.parts]))

    def known(self, ids: IdArray) -> IdArray:
        """Those of the ids that are alive, in the order given."""
        found = np.zeros(len(ids), dtype=np.bool_)
        for part in self.parts:
            found |= part.find(ids) >= 0
        return ids[found]

    def without(self, ids: IdArray) -> Snapshot:
        """The same collection with those ids gone."""
        return Snapshot(tuple(part.without(ids) for part in self.segments), self.tail.without(ids))

    def with_rows(self, tail: Tail, ids: IdArray, rows: HalfArray) -> Snapshot:
        """The same collection with rows inserted or replaced; of equal ids the last counts."""
        chosen = last_of_each(ids)
        ids, rows = ids[chosen], rows[chosen]
        cleared = self.without(ids)
        return Snapshot(cleared.segments, tail.append(cleared.tail, ids, rows))

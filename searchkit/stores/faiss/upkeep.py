"""Keeps a collection fast in the background: merges segments tier by tier, then derives what scans need.

It decides and does the work; the writer makes each result count, in one switch of the manifest.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.errors import DiskFull
from searchkit.stores.faiss.codes import CODES_SUFFIX, build_codes
from searchkit.stores.faiss.graph import GRAPH_SUFFIX, build_graph
from searchkit.stores.faiss.manifest import FileEntry, SegmentEntry
from searchkit.stores.faiss.merging import live_ids, merged_rows
from searchkit.stores.faiss.segment import Segment, Stopped, unless_stopped, write_segment
from searchkit.stores.faiss.snapshot import Part
from searchkit.stores.faiss.tuning import Tuning
from searchkit.stores.faiss.writer import CollectionWriter

__all__ = ["Upkeep", "plan_merge"]

Build: TypeAlias = Callable[[Segment, threading.Event], FileEntry]

_log = logging.getLogger(__name__)


def plan_merge(sizes: Sequence[tuple[str, int, int]], tuning: Tuning) -> list[str]:
    """Names of segments to merge next, given (name, live rows, dead rows) of all; empty for none.

    Segments of one tier (which spans a factor of ``tuning.tier`` in size) become one of the next when there
    are as many, so that a row is rewritten once a tier; one with too many dead rows is rewritten alone.
    """
    tiers: dict[int, list[str]] = {}
    for name, live, dead in sorted(sizes, key=lambda size: size[1]):
        if dead > tuning.most_dead * (live + dead):
            return [name]
        tier = tiers.setdefault(int(np.log(max(live, 1)) / np.log(tuning.tier)), [])
        tier.append(name)
        if len(tier) == tuning.tier:
            return tier
    return []


class Upkeep:
    """Does what is due in a thread of its own; ``mutex`` guards the writer."""

    def __init__(
        self, writer: CollectionWriter, mutex: AbstractContextManager[object], tuning: Tuning
    ) -> None:
        self._writer = writer
        self._mutex = mutex
        self._tuning = tuning
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look for work and do it, unless that is going on already; the caller holds the mutex."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._stop.is_set() or not (self._merge_due() or self._derivation_due()):
            return
        self._thread = threading.Thread(target=self._run, name="searchkit-upkeep", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when what is going on has been done, or the time is up."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stop(self) -> None:
        """Break off what is going on; nothing of it counts."""
        self._stop.set()
        self.wait()

    def compact(self) -> None:
        """Merge everything into one segment and derive what it needs; nothing else may be going on."""
        with self._mutex:
            parts = [part for part in self._writer.snapshot.segments if part.live_count]
        if len(parts) > 1 or any(part.live_count < len(part.ids) for part in parts):
            self._merge(parts)
        while self._derive():
            pass

    def _run(self) -> None:
        try:
            while self._merge() or self._derive(gently=True):
                pass
        except Stopped:
            pass
        except DiskFull as error:
            _log.warning("%s; searches stay right and get slower", error)
        except Exception:
            _log.exception("upkeep of %s failed; searches stay right and get slower", self._writer.folder)

    def _merge_due(self) -> list[Part]:
        parts = {part.segment.entry.name: part for part in self._writer.snapshot.segments if part.segment}
        sizes = [(name, part.live_count, len(part.ids) - part.live_count) for name, part in parts.items()]
        return [parts[name] for name in plan_merge(sizes, self._tuning) if parts[name].live_count]

    def _derivation_due(self) -> tuple[Segment, Build] | None:
        snapshot = self._writer.snapshot
        if len(snapshot) <= self._tuning.exact:
            return None
        for suffix, least, build in (
            (CODES_SUFFIX, self._tuning.coded, build_codes),
            (GRAPH_SUFFIX, self._tuning.graph, build_graph),
        ):
            for part in snapshot.segments:
                segment = part.segment
                if segment and part.live_count >= least and not segment.has(suffix):
                    return segment, build
        return None

    def _merge(self, parts: Sequence[Part] = ()) -> bool:
        with self._mutex:
            parts = parts or self._merge_due()
            if not parts:
                return False
            name = self._writer.new_name()
        writer, dim = self._writer, parts[0].rows.shape[1]
        names = [part.segment.entry.name for part in parts if part.segment]
        with writer.keeping(name):
            count = sum(part.live_count for part in parts)
            blocks = unless_stopped(merged_rows(parts), self._stop)
            entry = write_segment(writer.folder, name, dim, count, blocks)

            def swap(segments: dict[str, SegmentEntry]) -> bool:
                if not segments.keys() >= set(names):
                    return False
                now = [
                    part
                    for part in writer.snapshot.segments
                    if part.segment and part.segment.entry.name in names
                ]
                for each in names:
                    del segments[each]
                # rows may have been deleted or replaced while the merge went on
                as_written = sum(part.live_count for part in now) == count
                segments[name] = entry if as_written else writer.masked(entry, self._gone(entry, now))
                return True

            with self._mutex:
                return writer.change(swap)

    def _derive(self, *, gently: bool = False) -> bool:
        with self._mutex:
            due = self._derivation_due()
        if due is None:
            return False
        segment, build = due
        name = segment.entry.name
        if gently:
            import faiss

            # of this thread alone; searches and encoders want the rest
            faiss.omp_set_num_threads(max(1, (os.cpu_count() or 2) // 2))
        with self._writer.keeping(name):
            built = build(segment, self._stop)

            def attach(segments: dict[str, SegmentEntry]) -> bool:
                if name not in segments:
                    return False
                segments[name] = replace(segments[name], derived=(*segments[name].derived, built))
                return True

            with self._mutex:
                # a seal may have dropped the segment; then the next look finds other work, or none
                self._writer.change(attach)
        return True

    def _gone(self, entry: SegmentEntry, now: Sequence[Part]) -> npt.NDArray[np.bool_]:
        """Which rows of a merged segment are no longer alive in the parts that it was merged from."""
        written = np.memmap(self._writer.folder / entry.ids.name, "<i8", "r")
        gone = np.ones(entry.count, dtype=np.bool_)
        for part in now:
            for ids in live_ids(part):
                gone[np.searchsorted(written, ids)] = False
        return gone

"""The map of a library: every segment as a point, laid out in the background and kept until it changes.

A map is little-endian bytes: the number of points (uint32), the length of the header (uint32), the header
(JSON: fingerprint, modalities), then for all points ids (float64), asset ids (float64), x (int16), y (int16),
modality (uint8, an index into the header's list).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from searchkit.catalog import details, segments, spaces
from searchkit.durable import write_bytes
from searchkit.errors import SearchkitError
from searchkit.library import Library
from searchkit.types import FloatArray, IdArray, Modality
from searchkit.web.layout import lay_out, scaled

__all__ = ["LibraryMap", "MapState"]

_LOG = logging.getLogger(__name__)
_CHUNK = 4096
_MAX_POINTS = 200_000
_REVISION = 1


@dataclass(frozen=True, slots=True)
class MapState:
    """How far a map is; ``is_current`` is False when the library changed since it was laid out."""

    state: Literal["absent", "computing", "ready", "failed"]
    points: int
    share_done: float
    is_current: bool
    reason: str = ""


class LibraryMap:
    """Lays a library out; one computation at a time.

    Args:
        library: what to lay out.
        folder: where the map is kept.
    """

    def __init__(self, library: Library, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._share = 0.0
        self._reason = ""

    def state(self) -> MapState:
        """How far it is."""
        content = self.read()
        points = struct.unpack_from("<I", content)[0] if content else 0
        is_current = bool(content) and _fingerprint_of(content) == self._fingerprint()
        if self._thread is not None and self._thread.is_alive():
            return MapState("computing", points, self._share, is_current)
        if self._reason:
            return MapState("failed", points, 0.0, is_current, self._reason)
        return MapState("ready" if content else "absent", points, 1.0 if content else 0.0, is_current)

    def read(self) -> bytes:
        """The latest map, empty when there is none."""
        try:
            return (self._folder / "map.bin").read_bytes()
        except OSError:
            return b""

    def version(self, content: bytes) -> str:
        """What tells a map from another."""
        return hashlib.sha256(content).hexdigest()[:16]

    def start(self) -> None:
        """Lay it out in the background, unless that goes on or the map is current."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            content = self.read()
            if content and _fingerprint_of(content) == self._fingerprint():
                return
            self._reason, self._share = "", 0.0
            self._thread = threading.Thread(target=self._run, name="map", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Until the computation that goes on has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def close(self) -> None:
        """End a computation that goes on."""
        self._stop.set()
        self.wait()

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            # Of this thread only: searches come first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        try:
            fingerprint = self._fingerprint()
            ids, asset_ids, groups, rows = self._rows()
            places = lay_out(rows, groups, progress=self._progress)
            self._folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self._folder / "map.bin", _packed(fingerprint, ids, asset_ids, groups, places))
        except _Stopped:
            return
        except (SearchkitError, OSError, ValueError, MemoryError) as error:
            _LOG.warning("the map could not be laid out: %s", error)
            self._reason = str(error) or type(error).__name__

    def _progress(self, share: float) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._share = 0.2 + 0.8 * share

    def _rows(self) -> tuple[IdArray, IdArray, IdArray, FloatArray]:
        """Ids, asset ids, modality numbers and vectors of the segments, thinned when there are too many."""
        library = self._library
        with library.catalog.read() as connection:
            space_id = spaces.find_space(connection, library.space)
            refs = [] if space_id is None else spaces.collections_of(connection, space_id)
            keys = [details.points(connection, ref.id) for ref in refs]
        step = -(-sum(map(len, keys)) // _MAX_POINTS) or 1
        ids, asset_ids, groups, rows = [], [], [], []
        for number, (ref, pairs) in enumerate(zip(refs, keys, strict=True)):
            chosen = np.array(pairs[::step], dtype=np.int64).reshape(-1, 2)
            store = library.open_store(ref, library.space.dim, read_only=True)
            try:
                held = np.isin(chosen[:, 0], store.ids())
                chosen = chosen[held]
                for start in range(0, len(chosen), _CHUNK):
                    if self._stop.is_set():
                        raise _Stopped
                    rows.append(store.fetch(chosen[start : start + _CHUNK, 0]))
            finally:
                store.close()
            ids.append(chosen[:, 0])
            asset_ids.append(chosen[:, 1])
            groups.append(np.full(len(chosen), list(Modality).index(ref.modality)))
            self._share = 0.2 * (number + 1) / len(refs)
        if not rows:
            empty = np.zeros(0, np.int64)
            return empty, empty, empty, np.zeros((0, library.space.dim), np.float32)
        return np.concatenate(ids), np.concatenate(asset_ids), np.concatenate(groups), np.concatenate(rows)

    def _fingerprint(self) -> str:
        with self._library.catalog.read() as connection:
            space_id = spaces.find_space(connection, self._library.space)
            held = {} if space_id is None else segments.count_ready(connection)
            newest = details.newest_segment(connection)
        text = f"{_REVISION} {self._library.space.fingerprint} {sorted(held.items())} {newest}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Stopped(Exception):
    """The server is being closed."""


def _fingerprint_of(content: bytes) -> str:
    length = struct.unpack_from("<I", content, 4)[0]
    return str(json.loads(content[8 : 8 + length])["fingerprint"])


def _packed(fingerprint: str, ids: IdArray, asset_ids: IdArray, groups: IdArray, places: FloatArray) -> bytes:
    header = json.dumps({"fingerprint": fingerprint, "modalities": list(Modality)}).encode()
    # Arrays of float64 begin at multiples of eight.
    header += b" " * (-len(header) % 8)
    points = scaled(places)
    return b"".join(
        (
            struct.pack("<II", len(ids), len(header)),
            header,
            ids.astype("<f8").tobytes(),
            asset_ids.astype("<f8").tobytes(),
            np.ascontiguousarray(points[:, 0]).astype("<i2").tobytes(),
            np.ascontiguousarray(points[:, 1]).astype("<i2").tobytes(),
            groups.astype("u1").tobytes(),
        )
    )

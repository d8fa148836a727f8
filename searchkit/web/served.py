"""A library being served: its encoder for many, its uploads, its renderings; routes get it as an argument."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from searchkit.catalog import details, spaces
from searchkit.catalog.details import AssetDetails
from searchkit.errors import LibraryError, SearchkitError, Unavailable
from searchkit.library import Library
from searchkit.media.isolate import DecoderPool
from searchkit.types import Modality, Sample, TextSample
from searchkit.web.batching import BatchingEncoder
from searchkit.web.cache import FileCache
from searchkit.web.indexing import IndexRuns
from searchkit.web.map import LibraryMap
from searchkit.web.memory import SearchMemory
from searchkit.web.metrics import Metrics
from searchkit.web.renderings import Renderings
from searchkit.web.settings import ServeSettings
from searchkit.web.tokens import Sessions, TokenCheck
from searchkit.web.uploads import UploadStore, limited

__all__ = ["Served", "ServedLibrary"]

_Asked = ParamSpec("_Asked")
_Made = TypeVar("_Made")


class Served:
    """Everything that routes need; opened once, closed once.

    Args:
        library: an open library; the caller closes it.
        settings: how it is served.

    Raises:
        EncoderError: the library's encoder cannot be opened.
    """

    def __init__(self, library: Library, settings: ServeSettings) -> None:
        self.library = library
        self.settings = settings
        self.metrics = Metrics()
        self.sessions = Sessions()
        self.memory = SearchMemory()
        self.token_check = None if settings.token_hash is None else TokenCheck(settings.token_hash)
        self.encoder = BatchingEncoder(
            library.encoder, max_samples=settings.max_batch, on_batch=self.metrics.batch
        )
        self.pool = DecoderPool(
            settings.decode_workers, timeout_s=settings.decode_timeout_s, max_memory_bytes=4 << 30
        )
        cache = library.folder / "cache"
        self.cache = FileCache(cache / "renderings", settings.cache_bytes)
        self.uploads = UploadStore(
            cache / "uploads",
            self.pool,
            limited(
                library.decode_settings,
                max_bytes=settings.max_upload_bytes,
                max_seconds=settings.max_upload_seconds,
                max_pixels=settings.max_upload_pixels,
            ),
            max_bytes=settings.upload_store_bytes,
            keep_s=settings.upload_keep_s,
        )
        self.renderings = Renderings(self.pool, self.cache, library.decode_settings)
        self.map = LibraryMap(library, cache / "map")
        self.runs = IndexRuns(library)
        # A page full of thumbnails waits for decoders; the threads that search must not wait with it.
        self._rendering = CapacityLimiter(4 * settings.decode_workers)
        self.is_warm = False
        self._shown_paths: dict[Path, str] = {}
        library.answer_with(self.encoder, self.load)

    def warm_up(self) -> None:
        """Load what a text search needs, so that the first one is not the slow one."""
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def close(self) -> None:
        """Stop everything that was started; the library stays open."""
        self.runs.close()
        self.map.close()
        self.pool.close()

    def refuse_if_read_only(self) -> None:
        """Let nobody change a library that is served read-only.

        Raises:
            Unavailable: it is.
        """
        if self.settings.read_only or self.library.read_only:
            raise Unavailable(
                "the library is served read-only", status=403, hint="serve it without --read-only"
            )

    def space_id(self) -> int | None:
        """The key of the space that is searched, None while the library has no vectors of it."""
        with self.library.catalog.read() as connection:
            return spaces.find_space(connection, self.encoder.space)

    def asset(self, asset_id: int) -> AssetDetails:
        """An asset by its key.

        Raises:
            Unavailable: there is none.
        """
        with self.library.catalog.read() as connection:
            found = details.details(connection, [asset_id])
        if asset_id not in found:
            raise Unavailable(f"the library has no asset {asset_id}", status=404)
        return found[asset_id]

    def segment(self, segment_id: int) -> tuple[AssetDetails, details.SpanRow]:
        """A segment with its asset.

        Raises:
            Unavailable: there is none in the space that is searched.
        """
        space_id = self.space_id()
        with self.library.catalog.read() as connection:
            asset_id = details.asset_of(connection, segment_id)
            if asset_id is not None and space_id is not None:
                for span in details.segments_of(connection, asset_id, space_id):
                    if span.segment_id == segment_id:
                        return details.details(connection, [asset_id])[asset_id], span
        raise Unavailable(f"the library has no segment {segment_id}", status=404)

    async def rendered(
        self, make: Callable[_Asked, _Made], *asked: _Asked.args, **named: _Asked.kwargs
    ) -> _Made:
        """What a function makes that may wait for a decoder, on a thread apart from those that search."""
        return await to_thread.run_sync(lambda: make(*asked, **named), limiter=self._rendering)

    def shown_path(self, path: Path, shown: str) -> None:
        """Have errors about a query's file call it what the person called it."""
        if len(self._shown_paths) > 10_000:
            self._shown_paths.clear()
        self._shown_paths[path] = shown

    def load(self, path: Path, modality: Modality) -> Sequence[Sample]:
        """The samples of a file that a query names, decoded in a worker process.

        Raises:
            QueryError: it holds something else.
            DecodeError: it cannot be read, or is beyond a limit.
        """
        return self.uploads.load(path, modality, self._shown_paths.get(path, os.fspath(path)))

    def _warm_up(self) -> None:
        with contextlib.suppress(SearchkitError):
            if Modality.TEXT in self.encoder.modalities:
                self.encoder.encode([TextSample("warm up")])
        with contextlib.suppress(SearchkitError, LibraryError):
            self.library.search("warm up", k=1)
        self.is_warm = True
        self.cache.prune()


def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


ServedLibrary = Annotated[Served, Depends(_served)]
"""What a route writes to get the library that is being served."""

"""Media that people search with: checked in a worker process, kept under the hash of their content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from searchkit.durable import replace_file
from searchkit.errors import DecodeError, QueryError
from searchkit.media import DecodeSettings, MediaType
from searchkit.media.isolate import DecoderPool
from searchkit.types import ArraySample, AudioSample, ImageSample, Modality, Sample
from searchkit.web.problems import safe_text

__all__ = ["PREFIX", "Upload", "UploadStore", "limited"]

PREFIX = "upload/"
_ID = re.compile(r"[0-9a-f]{32}")
_CACHE_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """One kept upload; a query names it ``upload/<id>``."""

    id: str
    name: str
    modality: Modality
    mime: str
    size_bytes: int
    width_px: int | None
    height_px: int | None
    duration_s: float | None

    @property
    def reference(self) -> str:
        """What a query term names it by."""
        return PREFIX + self.id


class UploadStore:
    """Uploads in a folder; the oldest go when they take too much room or have been there too long.

    Args:
        folder: where they are kept; made when it is needed.
        pool: looks at them.
        settings: how they are decoded, with the limits that they must keep.
        max_bytes: what all may take together.
        keep_s: how long one is kept after it was last sent.
    """

    def __init__(
        self, folder: Path, pool: DecoderPool, settings: DecodeSettings, *, max_bytes: int, keep_s: float
    ) -> None:
        self._folder = folder
        self._pool = pool
        self._settings = settings
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._samples: OrderedDict[tuple[Path, int, Modality], list[Sample]] = OrderedDict()

    def add(self, content: bytes, name: str) -> Upload:
        """Keep a picture, sound or video.

        Raises:
            QueryError: it is empty, or is a text.
            DecodeError: it is no media, is damaged, or is beyond a limit.
            DiskFull: there is no room for it.
        """
        shown = _clean_name(name)
        if not content:
            raise QueryError(f"{shown} is empty", hint="send a picture, a sound or a video")
        upload_id = hashlib.sha256(content).hexdigest()[:32]
        path = self._folder / upload_id
        if (known := self._read(upload_id)) is not None:
            with contextlib.suppress(OSError):
                path.touch()
            # The same content under another name: the page shows the one it was last given.
            return self._keep(path, replace(known, name=shown))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._prune(len(content))
        with replace_file(path, sync=False) as file:
            file.write(content)
        try:
            upload = self._look(upload_id, path, shown, len(content))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return self._keep(path, upload)

    def _keep(self, path: Path, upload: Upload) -> Upload:
        with replace_file(path.with_suffix(".json"), sync=False) as file:
            file.write(json.dumps(asdict(upload)).encode())
        return upload

    def get(self, reference: str) -> tuple[Upload, Path]:
        """An upload and its file, by its id or ``upload/<id>``.

        Raises:
            QueryError: it is not kept, or no longer.
        """
        upload_id = reference.removeprefix(PREFIX)
        upload = self._read(upload_id) if _ID.fullmatch(upload_id) else None
        if upload is None:
            raise QueryError(
                f"no upload is called {reference!r}", hint="uploads are kept for some days; send it again"
            )
        return upload, self._folder / upload_id

    def load(self, path: Path, modality: Modality, shown: str) -> Sequence[Sample]:
        """The samples of an upload or of a file of the library, decoded in a worker process.

        Args:
            path: the file.
            modality: what it must hold.
            shown: what errors call it.

        Raises:
            QueryError: it holds something else.
            DecodeError: it cannot be read, or is beyond a limit.
        """
        try:
            key = (path, path.stat().st_mtime_ns, modality)
        except OSError as error:
            raise DecodeError(shown, "it is no longer there") from error
        with self._lock:
            if key in self._samples:
                self._samples.move_to_end(key)
                return self._samples[key]
        try:
            decoded = self._pool.open_media(path, self._settings.only(modality))
            if decoded.media_type.modality is not modality:
                found = decoded.media_type.modality.value
                raise QueryError(f"{shown} holds {found}, not {modality.value}", hint=f"{found}:{shown}")
            samples = list(decoded.samples)
        except DecodeError as error:
            raise DecodeError(shown, error.reason, hint=error.hint) from error
        with self._lock:
            self._samples[key] = samples
            while len(self._samples) > 1 and sum(map(_size_bytes, self._samples.values())) > _CACHE_BYTES:
                self._samples.popitem(last=False)
        return samples

    def _look(self, upload_id: str, path: Path, shown: str, size_bytes: int) -> Upload:
        try:
            decoded = self._pool.open_media(path, self._settings)
            found: MediaType = decoded.media_type
            if found.modality is Modality.TEXT:
                raise QueryError(f"{shown} is a text", hint='type its words, or text:"..."')
            # Damage shows up while decoding; better now than in the middle of a search.
            self._samples[(path, path.stat().st_mtime_ns, found.modality)] = list(decoded.samples)
        except DecodeError as error:
            raise DecodeError(shown, error.reason, hint=error.hint) from error
        facts = decoded.facts
        return Upload(
            id=upload_id,
            name=shown,
            modality=found.modality,
            mime=found.mime,
            size_bytes=size_bytes,
            width_px=facts.width_px,
            height_px=facts.height_px,
            duration_s=facts.duration_s,
        )

    def _read(self, upload_id: str) -> Upload | None:
        try:
            known = json.loads((self._folder / f"{upload_id}.json").read_bytes())
            upload = Upload(**{**known, "modality": Modality(known["modality"])})
            # A power cut may leave a file without its content.
            whole = (self._folder / upload_id).stat().st_size == upload.size_bytes
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return upload if whole else None

    def _prune(self, coming_bytes: int) -> None:
        oldest_s = time.time() - self._keep_s
        kept: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if _ID.fullmatch(path.name):
                    found = path.stat()
                    kept.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in kept) + coming_bytes
        for mtime_s, size, path in sorted(kept):
            if mtime_s >= oldest_s and total <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
            total -= size


def _size_bytes(samples: Sequence[Sample]) -> int:
    return sum(
        sample.pixels.nbytes
        if isinstance(sample, ImageSample)
        else sample.waveform.nbytes
        if isinstance(sample, AudioSample)
        else sample.values.nbytes
        if isinstance(sample, ArraySample)
        else len(sample.text)
        for sample in samples
    )


def _clean_name(name: str) -> str:
    """The last part of a name that a browser sent, without anything that could fool a person."""
    last = re.split(r"[/\\]", safe_text(name))[-1]
    return "".join(char for char in last if char.isprintable())[:120].strip() or "upload"


def limited(
    settings: DecodeSettings, *, max_bytes: int, max_seconds: float, max_pixels: int
) -> DecodeSettings:
    """The library's decoding with tighter limits; samples, and so vectors, stay the same."""
    return replace(
        settings,
        max_bytes=min(max_bytes, settings.max_bytes),
        max_seconds=min(max_seconds, settings.max_seconds),
        max_pixels=min(max_pixels, settings.max_pixels),
    )

"""Thumbnails and waveforms: made from decoded samples in worker processes, kept as small files.

It knows no HTTP; the bytes of media files never reach a decoder in this process.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from searchkit.catalog.details import AssetDetails
from searchkit.errors import DecodeError, Unavailable
from searchkit.media import DecodeSettings, MediaType
from searchkit.media.isolate import DecoderPool
from searchkit.preview import in_sequence, loudness, plugged_picture
from searchkit.types import FloatArray, ImageSample, Modality, Sample
from searchkit.web.cache import FileCache, KeyedLocks
from searchkit.web.files import readable_file
from searchkit.web.problems import safe_text

__all__ = ["SIZES_PX", "WAVE_BINS", "Renderings", "clip_wav", "peaks_of", "thumbnail_webp"]

SIZES_PX = (160, 320, 640, 1280)
WAVE_BINS = 240
_REVISION = 1
_CLIP_MAX_S = 120.0


class Renderings:
    """Makes and keeps the thumbnails and waveforms of assets.

    Args:
        pool: decodes.
        cache: keeps.
        settings: how the library decodes, so that a video's thumbnails are the frames that were embedded.
    """

    def __init__(self, pool: DecoderPool, cache: FileCache, settings: DecodeSettings) -> None:
        self._pool = pool
        self._cache = cache
        self._settings = settings
        self._locks = KeyedLocks()

    def thumbnail(self, asset: AssetDetails, start_s: float | None, size_px: int) -> tuple[bytes, str]:
        """A WebP of a picture, or of the frame of a video that is shown at ``start_s``, and its version.

        Raises:
            Unavailable: there is nothing to see, the file is gone, or it is no longer readable.
        """
        is_plugged = asset.modality is not None and asset.modality.is_plugged
        if asset.modality not in (Modality.IMAGE, Modality.VIDEO) and not is_plugged:
            raise Unavailable(f"{safe_text(asset.path)} has no picture", status=404)
        is_video = asset.modality is Modality.VIDEO
        start_ms = round((start_s or 0.0) * 1000) if is_video else 0
        name = f"{_version(asset)}-{size_px}-{start_ms}.webp"
        return self._made(name, lambda: self._frames(asset, start_ms, size_px, name)), name

    def waveform(self, asset: AssetDetails) -> tuple[bytes, str]:
        """The loudness of a sound over time as JSON, and its version.

        Raises:
            Unavailable: there is nothing to hear, the file is gone, or it is no longer readable.
        """
        if asset.modality is not Modality.AUDIO:
            raise Unavailable(f"{safe_text(asset.path)} is no sound", status=404)
        name = f"{_version(asset)}-wave.json"
        return self._made(name, lambda: peaks_of(self._samples(asset, _WAVE_SETTINGS))), name

    def clip(self, asset: AssetDetails, start_s: float, end_s: float | None) -> bytes:
        """Up to two minutes of a sound as WAV, for players that do not know the file's own format.

        Raises:
            Unavailable: there is nothing to hear, the file is gone, or it is no longer readable.
        """
        if asset.modality is not Modality.AUDIO:
            raise Unavailable(f"{safe_text(asset.path)} is no sound", status=404)
        stop_s = min(end_s if end_s is not None else np.inf, start_s + _CLIP_MAX_S)
        return clip_wav(self._samples(asset, _WAVE_SETTINGS), start_s, stop_s)

    def _made(self, name: str, make: Callable[[], bytes]) -> bytes:
        found = self._cache.read(name)
        if found is not None:
            return found
        with self._locks.hold(name.partition("-")[0]):
            found = self._cache.read(name)
            if found is None:
                found = make()
                self._cache.write(name, found)
        return found

    def _frames(self, asset: AssetDetails, start_ms: int, size_px: int, name: str) -> bytes:
        """One decoding of a video makes the thumbnails of all its frames."""
        if asset.modality is not None and asset.modality.is_plugged:
            pixels = plugged_picture(asset.modality, self._samples(asset, self._settings))
            if pixels is None:
                raise Unavailable(f"{safe_text(asset.path)} has no picture", status=404)
            return thumbnail_webp(pixels, size_px)
        if asset.modality is Modality.IMAGE:
            settings = replace(self._settings, image_max_side_px=size_px, image_max_frames=1)
        else:
            settings = self._settings
        wanted: bytes | None = None
        best_ms = -1
        for sample in self._samples(asset, settings):
            if not isinstance(sample, ImageSample):
                break
            shown = thumbnail_webp(sample.pixels, size_px)
            frame_ms = round(sample.span.start_s * 1000) if sample.span else 0
            if asset.modality is Modality.IMAGE or frame_ms == start_ms:
                wanted, best_ms = shown, start_ms
                if asset.modality is Modality.IMAGE:
                    break
            elif best_ms <= frame_ms <= start_ms or wanted is None:
                wanted, best_ms = shown, frame_ms
            if frame_ms != start_ms:
                self._cache.write(f"{_version(asset)}-{size_px}-{frame_ms}.webp", shown)
        if wanted is None:
            raise Unavailable(f"{safe_text(asset.path)} has no picture", status=404)
        return wanted

    def _samples(self, asset: AssetDetails, settings: DecodeSettings) -> Iterator[Sample]:
        file = readable_file(asset)
        media_type = MediaType(asset.modality, asset.mime) if asset.modality and asset.mime else None
        try:
            yield from self._pool.open_media(file.path, settings, media_type=media_type).samples
        except DecodeError as error:
            raise Unavailable(
                f"{safe_text(asset.path)}: {error.reason}", status=422, hint="open the file itself"
            ) from error


_WAVE_SETTINGS = DecodeSettings(audio_rate_hz=16_000, audio_window_s=30.0, audio_overlap_s=0.0)


def thumbnail_webp(pixels: npt.NDArray[np.uint8], size_px: int) -> bytes:
    """(H, W, 3) uint8 as a WebP whose shorter side is at most ``size_px``.

    Of a picture more than four times as long as it is wide, the middle is shown.
    """
    picture = Image.fromarray(pixels)
    width, height = picture.size
    if max(width, height) > 4 * min(width, height):
        if width > height:
            left = (width - 4 * height) // 2
            picture = picture.crop((left, 0, left + 4 * height, height))
        else:
            top = (height - 4 * width) // 2
            picture = picture.crop((0, top, width, top + 4 * width))
    scale = size_px / min(picture.size) if size_px < min(picture.size) else 1.0
    if scale < 1.0:
        target = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=82, method=3)
    return out.getvalue()


def peaks_of(samples: Iterator[Sample]) -> bytes:
    """Loudness of a sound as JSON: ``duration_s`` and ``peaks``, WAVE_BINS numbers from 0 to 100."""
    # Bins of a tenth of a second first, since the length is known only at the end.
    fine: list[FloatArray] = []
    seconds = 0.0
    for rate_hz, waveform in in_sequence(samples):
        step = max(1, rate_hz // 200)
        padded = np.pad(np.abs(waveform), (0, -len(waveform) % step))
        fine.append(padded.reshape(-1, step).max(axis=1))
        seconds += len(waveform) / rate_hz
    if not fine:
        raise Unavailable("there is nothing to hear in it", status=404)
    peaks = [round(100 * float(value)) for value in loudness(np.concatenate(fine), WAVE_BINS)]
    return json.dumps({"duration_s": round(seconds, 3), "peaks": peaks}).encode()


def clip_wav(samples: Iterator[Sample], start_s: float, stop_s: float) -> bytes:
    """The part ``[start_s, stop_s)`` of a sound as 16-bit mono WAV."""
    import soundfile

    parts: list[FloatArray] = []
    at, rate_hz = 0, 16_000
    for rate_hz, wave in in_sequence(samples):
        first = round(start_s * rate_hz) - at
        last = len(wave) if stop_s == np.inf else round(stop_s * rate_hz) - at
        parts.append(wave[max(0, first) : max(0, last)])
        at += len(wave)
        if at >= stop_s * rate_hz:
            break
    waveform = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(waveform):
        raise Unavailable("there is nothing to hear in that span", status=404)
    out = io.BytesIO()
    soundfile.write(out, waveform, rate_hz, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _version(asset: AssetDetails) -> str:
    content = asset.content_hash or f"{asset.id} {asset.mtime_ns} {asset.size_bytes}"
    return hashlib.sha256(f"{_REVISION} {content}".encode()).hexdigest()[:32]

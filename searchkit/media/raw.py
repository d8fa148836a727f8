"""Camera files: the preview that the camera put into them, or else a quick development (rawpy, optional)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from searchkit.errors import DecodeError
from searchkit.media.decoded import Facts
from searchkit.media.files import check_size, decoding, open_regular
from searchkit.media.image import exif_facts, open_image, read_exif, upright_pixels
from searchkit.media.settings import DecodeSettings
from searchkit.types import ImageSample

__all__ = ["raw_facts", "raw_samples"]

# What LibRaw calls a flip, as EXIF has it.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
# A smaller preview is a thumbnail for the camera's screen.
_USEFUL_PX = 400


def raw_facts(path: Path, settings: DecodeSettings) -> Facts:
    """Size, time and place of a camera file.

    Raises:
        DecodeError: it cannot be read, is too big, or rawpy is not installed.
    """
    with _open_raw(path, settings) as (raw, data):
        sizes = raw.sizes
        width_px, height_px = sizes.width, sizes.height
        if sizes.flip in (5, 6):
            width_px, height_px = height_px, width_px
        return Facts(width_px=width_px, height_px=height_px, **exif_facts(_exif(data)))


def raw_samples(path: Path, settings: DecodeSettings) -> Iterator[ImageSample]:
    """The picture, upright, as ``image_samples`` gives it.

    Raises:
        DecodeError: as ``raw_facts``.
    """
    side_px = settings.image_max_side_px
    with _open_raw(path, settings) as (raw, _):
        preview = _preview(raw)
        if preview is None:
            developed = Image.fromarray(raw.postprocess(use_camera_wb=True, half_size=True))
            yield ImageSample(upright_pixels(developed, side_px))
            return
        with open_image(path, settings, source=io.BytesIO(preview)) as image:
            # Some cameras turn their previews, and say so there; the others only turn the whole.
            said = ExifTags.Base.Orientation in read_exif(image)
            orientation = None if said else _ORIENTATIONS.get(raw.sizes.flip, 1)
            yield ImageSample(upright_pixels(image, side_px, orientation))


@contextmanager
def _open_raw(path: Path, settings: DecodeSettings) -> Iterator[tuple[Any, bytes]]:
    try:
        import rawpy
    except ImportError as error:
        raise DecodeError(
            path, "reading camera files needs the package rawpy", hint="pip install 'searchkit[raw]'"
        ) from error
    with open_regular(path) as file, decoding(path, "camera file"):
        check_size(path, file, settings.max_bytes, "max_bytes")
        data = file.read()
        with rawpy.imread(io.BytesIO(data)) as raw:
            pixels = raw.sizes.raw_width * raw.sizes.raw_height
            if pixels > settings.max_pixels:
                raise DecodeError(path, f"it has {pixels / 1e6:,.0f} million pixels, more than the limit")
            yield raw, data


def _preview(raw: Any) -> bytes | None:
    """The JPEG that the camera made, unless it is a mere thumbnail or there is none."""
    import rawpy

    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if preview.format is not rawpy.ThumbFormat.JPEG:
        return None
    with Image.open(io.BytesIO(preview.data)) as image:
        useful = min(image.size) >= min(_USEFUL_PX, raw.sizes.width // 2, raw.sizes.height // 2)
    return bytes(preview.data) if useful else None


def _exif(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    try:
        exif.load(data)
    except Exception:  # not every camera file is a TIFF
        return Image.Exif()
    return exif

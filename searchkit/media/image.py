"""Pictures: a file becomes RGB pixels as a person sees them (Pillow); knows no encoder."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from searchkit.errors import DecodeError
from searchkit.media.decoded import Facts
from searchkit.media.files import check_size, decoding, open_regular, printable
from searchkit.media.settings import DecodeSettings
from searchkit.types import ImageSample

__all__ = ["exif_facts", "image_facts", "image_samples", "open_image", "read_exif", "upright_pixels"]

# Without a handler, logging would print Pillow's complaints; an application that wants them has one.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Left out: formats that Pillow hands to other programs, and those that are no pictures.
_REFUSED_FORMATS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "FITS", "MPEG", "PDF", "WAL", "GBR"})


def image_facts(path: Path, settings: DecodeSettings) -> Facts:
    """Size, time and place of a picture, from its header.

    Raises:
        DecodeError: it is no picture that can be read, or too big.
    """
    with open_image(path, settings) as image:
        exif = read_exif(image)
        width_px, height_px = image.size
        # A TIFF's size is that of the upright picture already.
        if exif.get(ExifTags.Base.Orientation) in (5, 6, 7, 8) and image.format != "TIFF":
            width_px, height_px = height_px, width_px
        frames = getattr(image, "n_frames", 1)
        return Facts(
            width_px=width_px, height_px=height_px, frames=frames if frames > 1 else None, **exif_facts(exif)
        )


def image_samples(path: Path, settings: DecodeSettings) -> Iterator[ImageSample]:
    """The picture's pixels: upright, transparent parts white, in 8 bits.

    An animation gives up to ``settings.image_max_frames`` of its frames, spread over its length.

    Raises:
        DecodeError: the picture is damaged, cut off or too big.
    """
    with open_image(path, settings) as image:
        count = getattr(image, "n_frames", 1) if settings.image_max_frames > 1 else 1
        wanted = min(count, settings.image_max_frames)
        for frame in range(wanted):
            if frame:
                image.seek(frame * count // wanted)
            yield ImageSample(upright_pixels(image, settings.image_max_side_px))


@contextmanager
def open_image(path: Path, settings: DecodeSettings, source: BinaryIO | None = None) -> Iterator[Image.Image]:
    """Open a picture, with Pillow's warnings kept quiet; nothing is decoded yet.

    Args:
        path: the file, for errors.
        settings: the limits.
        source: read instead of the file, such as a picture that lies within it.

    Raises:
        DecodeError: it is no picture that can be read, or too big; or whatever fails while it is open.
    """
    with _quiet, open_regular(path) as file, decoding(path, "image"):
        check_size(path, file, settings.max_bytes, "max_bytes")
        try:
            image = Image.open(source or file, formats=_formats())
        except UnidentifiedImageError as error:
            raise _unknown(path, file) from error
        except Image.DecompressionBombError as error:
            size = re.search(r"\((\d+) pixels\)", str(error))
            raise _too_big(path, int(size[1]) if size else None, settings.max_pixels) from error
        with image:
            if image.width * image.height > settings.max_pixels:
                raise _too_big(path, image.width * image.height, settings.max_pixels)
            yield image


def _unknown(path: Path, file: BinaryIO) -> DecodeError:
    file.seek(0)
    brand = file.read(12)[4:]
    if brand.startswith(b"ftyp") and not {"HEIF", "AVIF"} <= set(_formats()):
        return DecodeError(
            path, "reading HEIC pictures needs the package pi-heif", hint="pip install 'searchkit[heif]'"
        )
    return DecodeError(path, "it is damaged, or no image that Pillow can read")


def _too_big(path: Path, pixels: int | None, limit: int) -> DecodeError:
    size = "more pixels" if pixels is None else f"{pixels / 1e6:,.0f} million pixels, more"
    return DecodeError(
        path,
        f"it has {size} than the limit of {limit / 1e6:,.0f} million",
        hint="raise max_pixels to read it",
    )


_known_formats: list[str] = []


def _formats() -> list[str]:
    if not _known_formats:
        Image.init()
        try:
            import pi_heif

            pi_heif.register_heif_opener()
        except ImportError:
            pass
        _known_formats.extend(name for name in Image.ID if name not in _REFUSED_FORMATS)
    return _known_formats


class _Quiet:
    """Keeps Pillow's warnings from the caller while any thread decodes.

    ``warnings.catch_warnings`` alone would restore one thread's filters in the midst of another's work.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._depth += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._saved.__exit__(None, None, None)


_quiet = _Quiet()


def upright_pixels(
    image: Image.Image, side_px: int | None, orientation: int | None = None
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of the current frame, decoded here, turned as EXIF or ``orientation`` says."""
    if side_px is not None:
        image.draft("RGB", (side_px, side_px))
    image.load()
    turn = _TURNS.get(orientation or read_exif(image).get(ExifTags.Base.Orientation, 1))
    factor = 1 if side_px is None else min(image.size) // side_px
    shown = image.reduce(factor) if factor > 1 and image.mode in ("L", "LA", "RGB", "RGBA") else image
    if turn is not None:
        shown = shown.transpose(turn)
    if shown.mode in ("I", "F") or shown.mode.startswith("I;"):
        shown = _eight_bits(shown)
    elif shown.has_transparency_data:
        # A palette's colours are looked up first, so that they are not blended as numbers.
        rgba = shown.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        shown = Image.alpha_composite(white, rgba)
    rgb = shown if shown.mode == "RGB" else shown.convert("RGB")
    pixels: npt.NDArray[np.uint8] = np.array(rgb, dtype=np.uint8)
    return pixels


def read_exif(image: Image.Image) -> Image.Exif:
    """The picture's metadata, none when they are damaged."""
    try:
        return image.getexif()
    except Exception:  # a picture is worth showing, whatever its metadata look like
        return Image.Exif()


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 or 32 bits or of floating point, scaled to 8 bits."""
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= (1.0 if image.mode == "F" else 255.0):
        low, high = 0.0, 1.0 if image.mode == "F" else 255.0
    scaled = (values - low) * (255.0 / (high - low if high > low else 1.0))
    return Image.fromarray(np.rint(scaled.clip(0, 255)).astype(np.uint8))


def exif_facts(exif: Image.Exif) -> dict[str, Any]:
    """Time and place, as keywords for ``Facts``; what is malformed is left out."""
    facts: dict[str, Any] = {}
    details = exif.get_ifd(ExifTags.IFD.Exif)
    taken_at = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    match = re.match(r"([12]\d{3}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)", str(taken_at or ""))
    if match and match[2] != "00" and match[3] != "00":
        offset = str(details.get(ExifTags.Base.OffsetTimeOriginal) or "")
        offset = offset if re.fullmatch(r"[+-]\d\d:\d\d", offset) else ""
        facts["taken_at"] = "{}-{}-{}T{}:{}:{}".format(*match.groups()) + offset
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    latitude = _degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    if latitude is not None and longitude is not None:
        facts.update(latitude=latitude, longitude=longitude)
    title = exif.get(ExifTags.Base.ImageDescription)
    if isinstance(title, str) and (title := printable(title.replace("\x00", "")).strip()):
        facts["title"] = title
    return facts


def _degrees(place: dict[int, Any], value: int, reference: int, negative: str, limit: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in place[value])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    result = degrees + minutes / 60 + seconds / 3600
    if not 0 <= result <= limit:
        return None
    return round(-result if place.get(reference) == negative else result, 7)

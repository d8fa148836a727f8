"""Decides by content what a file is; reads its first kilobytes, and asks FFmpeg only about containers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from searchkit.errors import DecodeError
from searchkit.media.charset import decode_text
from searchkit.media.decoded import MediaType
from searchkit.media.files import decoding, open_regular
from searchkit.media.magic import CONTAINER, binary_mime
from searchkit.modality import Modality, plug_of

__all__ = ["RAW_TYPES", "claimed_modality", "has_pictures", "looks_like_media", "sniff"]

_HEAD_BYTES = 32 << 10

_EXTENSIONS: dict[Modality, str] = {
    Modality.IMAGE: "jpg jpeg jpe jfif png apng gif bmp dib tif tiff webp avif heic heif jp2 j2k jpx ico "
    "icns psd qoi tga ppm pgm pbm pnm pcx dds sgi cr2 cr3 nef arw dng raf rw2 orf",
    Modality.AUDIO: "wav wave mp3 mp2 flac ogg oga opus m4a m4b aac aif aiff aifc wma amr au snd caf ac3 "
    "ape wv tta w64 rf64 mka weba dsf mpc",
    Modality.VIDEO: "mp4 m4v mov mkv webm avi mpg mpeg mpe ts mts m2ts ogv wmv asf flv 3gp 3g2 vob mxf",
    Modality.TEXT: "txt text md markdown html htm xhtml srt vtt pdf",
}
_CLAIMS = {"." + name: modality for modality, names in _EXTENSIONS.items() for name in names.split()}

# Camera files are TIFF by their first bytes, so that only the name tells which camera wrote them.
_RAW_EXTENSIONS = {
    ".nef": "image/x-nikon-nef",
    ".nrw": "image/x-nikon-nef",
    ".arw": "image/x-sony-arw",
    ".sr2": "image/x-sony-arw",
    ".dng": "image/x-adobe-dng",
    ".pef": "image/x-pentax-pef",
    ".srw": "image/x-samsung-srw",
    ".orf": "image/x-olympus-orf",
}
RAW_TYPES = frozenset(_RAW_EXTENSIONS.values()) | {
    "image/x-canon-cr2",
    "image/x-canon-cr3",
    "image/x-fuji-raf",
    "image/x-panasonic-rw2",
}
"""Media types of camera files, which Pillow does not read."""

_TEXT_EXTENSIONS = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
}
_SUBRIP = re.compile(r"\s*\d+\s*\n\s*\d{1,3}:\d{2}:\d{2}[,.]\d{1,3}\s*-->")


def claimed_modality(path: Path, plugs: Sequence[str] = ()) -> Modality | None:
    """What the file's extension says it is; content may say otherwise."""
    suffix = path.suffix.lower()
    claimed = (plug.modality for plug in map(plug_of, plugs) if suffix in plug.extensions)
    return next(claimed, None) or _CLAIMS.get(suffix)


def looks_like_media(path: Path | str, plugs: Sequence[str] = ()) -> bool:
    """Whether the name promises media, so that a person should hear of it when it holds none."""
    return claimed_modality(Path(path), plugs) is not None


def has_pictures(path: Path) -> bool:
    """Whether a container holds moving pictures, and not sound alone.

    Raises:
        DecodeError: it cannot be opened, or has neither.
    """
    from searchkit.media import ffmpeg  # takes time to load, and few files need it

    return ffmpeg.has_pictures(path)


def sniff(
    path: Path | str,
    *,
    plugs: Sequence[str] = (),
    has_pictures: Callable[[Path], bool] = has_pictures,
) -> MediaType | None:
    """What a file is, by its content.

    An extension decides only between kinds of plain text and between camera formats. Text under the name
    of a picture, a sound or a video is not taken for text: it is most often a saved error page.

    Args:
        path: the file.
        plugs: further modalities, whose plugs are asked first.
        has_pictures: looks into formats that may hold pictures, sound or both.

    Returns:
        None for what is no media, and for empty files.

    Raises:
        DecodeError: it cannot be opened, or is not a regular file.
    """
    path = Path(path)
    try:
        with open_regular(path) as file, decoding(path, "file"):
            head = file.read(_HEAD_BYTES)
    except DecodeError as error:
        if error.reason == "the file is empty":
            return None
        raise
    for name in plugs:
        plug = plug_of(name)
        with decoding(path, "file"):
            mime = plug.sniff(path, head)
        if mime is not None:
            return MediaType(plug.modality, mime)
    known = binary_mime(head)
    if known is None:
        return _sniff_rest(path, head)
    kind, mime = known
    if kind == CONTAINER:
        return _container_type(path, mime, has_pictures)
    if mime == "image/tiff":
        mime = _RAW_EXTENSIONS.get(path.suffix.lower(), mime)
    return MediaType(Modality(kind), mime)


def _sniff_rest(path: Path, head: bytes) -> MediaType | None:
    if b"%PDF-" in head[:1024]:
        return MediaType(Modality.TEXT, "application/pdf")
    if path.suffix.lower() == ".tga" and head[1:2] in b"\0\1" and head[2:3] in b"\1\2\3\x09\x0a\x0b":
        return MediaType(Modality.IMAGE, "image/x-tga")
    return _sniff_text(path, head)


def _sniff_text(path: Path, head: bytes) -> MediaType | None:
    text = decode_text(head, cut=len(head) >= _HEAD_BYTES)
    if text is None or not text.strip() or claimed_modality(path) not in (None, Modality.TEXT):
        return None
    start = text.lstrip()[:1024].lower()
    if "<svg" in start and start.startswith(("<svg", "<?xml", "<!doctype svg", "<!--")):
        return None
    if start.startswith("webvtt"):
        return MediaType(Modality.TEXT, "text/vtt")
    if start.startswith(("<!doctype html", "<html")):
        return MediaType(Modality.TEXT, "text/html")
    if _SUBRIP.match(text):
        return MediaType(Modality.TEXT, "application/x-subrip")
    return MediaType(Modality.TEXT, _TEXT_EXTENSIONS.get(path.suffix.lower(), "text/plain"))


def _container_type(path: Path, mime: str, has_pictures: Callable[[Path], bool]) -> MediaType:
    try:
        shows = has_pictures(path)
    except DecodeError:
        # Whoever opens it says what is wrong.
        return MediaType(Modality.VIDEO, mime)
    if shows:
        return MediaType(Modality.VIDEO, mime.replace("application/ogg", "video/ogg"))
    family = {"video/x-ms-asf": "audio/x-ms-wma", "video/quicktime": "audio/mp4"}
    return MediaType(Modality.AUDIO, family.get(mime) or mime.replace("video/", "audio/"))

"""Tells binary formats apart by their first bytes; knows no text format and decodes nothing."""

from __future__ import annotations

from searchkit.types import Modality

__all__ = ["CONTAINER", "binary_mime"]

CONTAINER = "container"
"""What ``binary_mime`` says of formats that hold pictures, sound or both: only their tracks tell."""

_IMAGE, _AUDIO = Modality.IMAGE.value, Modality.AUDIO.value

# (offset, bytes, kind, media type); the first that fits wins.
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\xff\xd8\xff", _IMAGE, "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", _IMAGE, "image/png"),
    (0, b"GIF87a", _IMAGE, "image/gif"),
    (0, b"GIF89a", _IMAGE, "image/gif"),
    (8, b"CR\x02\x00", _IMAGE, "image/x-canon-cr2"),
    (0, b"FUJIFILMCCD-RAW", _IMAGE, "image/x-fuji-raf"),
    (0, b"IIU\x00", _IMAGE, "image/x-panasonic-rw2"),
    (0, b"IIRO", _IMAGE, "image/x-olympus-orf"),
    (0, b"IIRS", _IMAGE, "image/x-olympus-orf"),
    (0, b"II*\x00", _IMAGE, "image/tiff"),
    (0, b"MM\x00*", _IMAGE, "image/tiff"),
    (0, b"II+\x00", _IMAGE, "image/tiff"),
    (0, b"MM\x00+", _IMAGE, "image/tiff"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", _IMAGE, "image/jp2"),
    (0, b"\xff\x4f\xff\x51", _IMAGE, "image/j2c"),
    (0, b"8BPS", _IMAGE, "image/vnd.adobe.photoshop"),
    (0, b"DDS ", _IMAGE, "image/vnd.ms-dds"),
    (0, b"qoif", _IMAGE, "image/qoi"),
    (0, b"icns", _IMAGE, "image/icns"),
    (0, b"\x00\x00\x01\x00", _IMAGE, "image/vnd.microsoft.icon"),
    (0, b"\x01\xda", _IMAGE, "image/sgi"),
    (0, b"fLaC", _AUDIO, "audio/flac"),
    (0, b"ID3", _AUDIO, "audio/mpeg"),
    (0, b".snd", _AUDIO, "audio/basic"),
    (0, b"caff", _AUDIO, "audio/x-caf"),
    (0, b"#!AMR", _AUDIO, "audio/amr"),
    (0, b"MAC ", _AUDIO, "audio/x-ape"),
    (0, b"wvpk", _AUDIO, "audio/x-wavpack"),
    (0, b"TTA1", _AUDIO, "audio/x-tta"),
    (0, b"MPCK", _AUDIO, "audio/x-musepack"),
    (0, b"MP+", _AUDIO, "audio/x-musepack"),
    (0, b"DSD ", _AUDIO, "audio/x-dsf"),
    (0, b"Creative Voice File\x1a", _AUDIO, "audio/x-voc"),
    (0, b"\x0b\x77", _AUDIO, "audio/ac3"),
    (0, b"riff\x2e\x91\xcf\x11", _AUDIO, "audio/x-w64"),
    (0, b"\x1a\x45\xdf\xa3", CONTAINER, "video/x-matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", CONTAINER, "video/x-ms-asf"),
    (0, b"FLV\x01", CONTAINER, "video/x-flv"),
    (0, b"\x00\x00\x01\xba", CONTAINER, "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", CONTAINER, "video/mpeg"),
    (0, b"YUV4MPEG2 ", CONTAINER, "video/x-yuv4mpeg"),
    (0, b"DKIF\x00\x00", CONTAINER, "video/x-ivf"),
    (0, b".RMF", CONTAINER, "video/vnd.rn-realvideo"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", CONTAINER, "application/mxf"),
)

# Four-character forms inside the two chunked families, at offset 8.
_RIFF_FORMS = {
    b"WAVE": (_AUDIO, "audio/wav"),
    b"WEBP": (_IMAGE, "image/webp"),
    b"AVI ": (CONTAINER, "video/x-msvideo"),
}
_IFF_FORMS = {b"AIFF": "audio/aiff", b"AIFC": "audio/aiff", b"8SVX": "audio/x-8svx"}

# Brands of ISO files (ISO/IEC 14496-12); every other brand is a container.
_ISO_BRANDS = {
    b"avif": (_IMAGE, "image/avif"),
    b"avis": (_IMAGE, "image/avif"),
    b"heic": (_IMAGE, "image/heic"),
    b"heix": (_IMAGE, "image/heic"),
    b"heim": (_IMAGE, "image/heic"),
    b"heis": (_IMAGE, "image/heic"),
    b"hevc": (_IMAGE, "image/heic"),
    b"mif1": (_IMAGE, "image/heif"),
    b"msf1": (_IMAGE, "image/heif"),
    b"crx ": (_IMAGE, "image/x-canon-cr3"),
    b"M4A ": (_AUDIO, "audio/mp4"),
    b"M4B ": (_AUDIO, "audio/mp4"),
    b"qt  ": (CONTAINER, "video/quicktime"),
}

_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC")
_OGG_VIDEO = (b"\x80theora", b"\x01video", b"BBCD\x00")


def binary_mime(head: bytes) -> tuple[str, str] | None:
    """The kind (a modality's value, or ``CONTAINER``) and media type that the first kilobytes tell.

    Returns:
        None when no known format begins so.
    """
    if len(head) >= 12 and head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _RIFF_FORMS.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in _IFF_FORMS:
        return _AUDIO, _IFF_FORMS[head[8:12]]
    if head[:4] == b"OggS":
        return _ogg(head)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return _iso(head)
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:64]:
        return CONTAINER, "video/webm"
    for offset, signature, kind, mime in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind, mime
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return _IMAGE, "image/bmp"
    if head[:1] == b"P" and head[1:2] in b"1234567fF" and head[2:3].isspace():
        return _IMAGE, "image/x-portable-anymap"
    if head[:3] in (b"\x0a\x05\x01", b"\x0a\x03\x01", b"\x0a\x02\x01"):
        return _IMAGE, "image/x-pcx"
    if _is_transport_stream(head):
        return CONTAINER, "video/mp2t"
    return _mpeg_audio(head)


def _ogg(head: bytes) -> tuple[str, str]:
    """Look at the first page of every stream, which all stand at the front (RFC 3533)."""
    at, kinds = 0, set()
    while head[at : at + 4] == b"OggS" and len(head) > at + 27 and head[at + 5] & 2:
        body = at + 27 + head[at + 26]
        page = head[body : body + 8]
        kinds.add("video" if page.startswith(_OGG_VIDEO) else "audio" if page.startswith(_OGG_AUDIO) else "")
        at = body + sum(head[at + 27 : body])
    if "video" in kinds:
        return Modality.VIDEO.value, "video/ogg"
    return (_AUDIO, "audio/ogg") if "audio" in kinds else (CONTAINER, "application/ogg")


def _iso(head: bytes) -> tuple[str, str]:
    if head[4:8] != b"ftyp":
        return CONTAINER, "video/quicktime"
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, compatible = head[8:12], [head[at : at + 4] for at in range(16, size - 3, 4)]
    if major in (b"mif1", b"msf1"):
        for brand in compatible:
            if brand in (b"avif", b"heic", b"heix"):
                return _ISO_BRANDS[brand]
    return _ISO_BRANDS.get(major, (CONTAINER, "video/mp4"))


def _is_transport_stream(head: bytes) -> bool:
    for packet, offset in ((188, 0), (192, 4)):
        marks = head[offset : offset + packet * 5 : packet]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return True
    return False


_KBPS_LAYER_3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_LAYER_2 = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_KBPS_VERSION_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mpeg_audio(head: bytes) -> tuple[str, str] | None:
    """MP3, MP2 and AAC without a header of their own: two frames must follow each other.

    Layer I is left out: no one uses it, and its first bytes are those of text in UTF-16.
    """
    if len(head) < 8 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return (_AUDIO, "audio/aac") if length >= 7 and _follows(head, length) else None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or bitrate in (0, 15) or rate == 3:
        return None
    table = _KBPS_VERSION_2 if version != 3 else _KBPS_LAYER_3 if layer == 1 else _KBPS_LAYER_2
    rate_hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bytes_per_kbps = 72_000 if version != 3 and layer == 1 else 144_000
    length = bytes_per_kbps * table[bitrate - 1] // rate_hz + (head[2] >> 1 & 1)
    return (_AUDIO, "audio/mpeg") if _follows(head, length) else None


def _follows(head: bytes, length: int) -> bool:
    return len(head) <= length + 2 or (head[length] == 0xFF and head[length + 1] & 0xE0 == 0xE0)

"""Opens any file as media: sniffs it, reads its facts and hands out its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from searchkit.errors import DecodeError
from searchkit.media.decoded import Decoded, Facts, MediaType
from searchkit.media.files import open_regular
from searchkit.media.settings import DecodeSettings
from searchkit.media.sniff import RAW_TYPES, claimed_modality, sniff
from searchkit.modality import Modality, plug_of
from searchkit.types import Sample

__all__ = ["media_samples", "open_media"]

_DEFAULTS = DecodeSettings()
_NOUNS = {
    Modality.IMAGE: "an image",
    Modality.AUDIO: "a sound",
    Modality.VIDEO: "a video",
    Modality.TEXT: "a text",
}


def open_media(
    path: Path | str, settings: DecodeSettings = _DEFAULTS, *, media_type: MediaType | None = None
) -> Decoded:
    """Open a file: what it is, facts from its header, and its samples, decoded while they are asked for.

    Args:
        path: a file of any name; its content decides what it is.
        settings: how to decode, and the limits.
        media_type: what ``sniff`` said of it, so that it need not look again.

    Returns:
        The opened file; asking for its samples can raise DecodeError too.

    Raises:
        DecodeError: it cannot be read, is no media, is damaged, or is beyond a limit.
    """
    path = Path(path)
    media_type = media_type or sniff(path, plugs=settings.plugs)
    if media_type is None:
        raise _not_media(path, settings.plugs)
    facts_of, samples_of = _decoder(media_type)
    return Decoded(media_type, facts_of(path, settings), samples_of(path, settings))


def media_samples(path: Path | str, settings: DecodeSettings, media_type: MediaType) -> Iterator[Sample]:
    """The samples of a file whose type is known, decoded while they are asked for.

    Raises:
        DecodeError: it cannot be read, is damaged, or is beyond a limit.
    """
    return _decoder(media_type)[1](Path(path), settings)


_Decoder: TypeAlias = tuple[
    Callable[[Path, DecodeSettings], Facts], Callable[[Path, DecodeSettings], Iterator[Sample]]
]


def _decoder(media_type: MediaType) -> _Decoder:
    # Each is imported when its first file comes, since FFmpeg and Pillow take time to load.
    match media_type.modality:
        case Modality.IMAGE if media_type.mime in RAW_TYPES:
            from searchkit.media.raw import raw_facts, raw_samples

            return raw_facts, raw_samples
        case Modality.IMAGE:
            from searchkit.media.image import image_facts, image_samples

            return image_facts, image_samples
        case Modality.AUDIO:
            from searchkit.media.audio import audio_facts, audio_samples

            return audio_facts, audio_samples
        case Modality.VIDEO:
            from searchkit.media.video import video_facts, video_samples

            return video_facts, video_samples
        case Modality.TEXT:
            from searchkit.media.text import text_facts, text_samples

            mime = media_type.mime
            return partial(text_facts, mime=mime), partial(text_samples, mime=mime)
        case modality:
            from searchkit.media.plugged import plugged_facts, plugged_samples

            return partial(plugged_facts, plug_of(modality)), partial(plugged_samples, plug_of(modality))


def _not_media(path: Path, plugs: Sequence[str]) -> DecodeError:
    from searchkit.media.charset import decode_text

    with open_regular(path) as file:
        head = file.read(4096)
    claim = claimed_modality(path, plugs)
    if claim is Modality.TEXT:
        return DecodeError(path, "it is no text that can be read (neither UTF-8, UTF-16 nor Latin-1)")
    promised = "" if claim is None else _NOUNS.get(claim) or plug_of(claim).noun
    if not head.strip(b"\x00"):
        return DecodeError(path, "it holds nothing but zeros")
    if claim is not None and decode_text(head, cut=True) is not None:
        return DecodeError(path, f"it holds text, not {promised} (perhaps a saved error page)")
    if claim is not None:
        return DecodeError(path, f"it is not {promised}: its content is of no known format")
    return DecodeError(path, "it is no image, sound, video or text that searchkit knows")

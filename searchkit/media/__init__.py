"""Decoding: from a path to samples, by content and not by name; knows no encoder and no library."""

from searchkit.media.decoded import Decoded, Facts, MediaType
from searchkit.media.open import open_media
from searchkit.media.settings import DecodeSettings
from searchkit.media.sniff import looks_like_media, sniff

__all__ = ["DecodeSettings", "Decoded", "Facts", "MediaType", "looks_like_media", "open_media", "sniff"]

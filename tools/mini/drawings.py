"""Captioned drawings to fit the head on: emoji sets and Openclipart; pixels and words, no model."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from .arrays import Array

SVG_WIDTH_PX = 320
# Folders of Openclipart whose drawings show signs, interfaces or patterns, not things.
SKIPPED_FOLDERS = (
    *("flags", "maps", "geography", "gradients", "patterns", "duplicates", "shapes", "logos", "icons"),
    *("computer/folders", "cards", "jigsaw", "flowchart", "arrows", "callouts", "map_symbols"),
    *("signs_and_symbols", "symbols", "gift_certificate", "examples", "templates", "fonts", "alphabet"),
    *("astronomy/zodiac", "chess"),
)
# Near-copies of pictures that the model is measured on, by similarity of features above 0.7.
NEAR_COPIES = ("basebalm_ganson.svg", "baseball_bw_ganson.svg", "ragazza_bruna.svg")
SKIPPED_EMOJI = ("Flags", "Component")
MAX_SVG_BYTES = 400_000
EMOJI_WORDS, CLIPART_WORDS = 6, 6


@dataclass(frozen=True)
class Drawing:
    """A picture file and what is said of it, the main caption first."""

    path: Path
    captions: tuple[str, ...]

    def pixels(self) -> Array:
        """(H, W, 3) uint8 over white."""
        if self.path.suffix == ".svg":
            png = resvg_py.svg_to_bytes(svg_path=str(self.path), dpi=96, width=SVG_WIDTH_PX)
            image: Image.Image = Image.open(io.BytesIO(bytes(png)))
        else:
            image = Image.open(self.path)
        if max(image.size) > 1024:
            image.thumbnail((640, 640))
        image = image.convert("RGBA")
        page = Image.new("RGBA", image.size, (255, 255, 255, 255))
        page.alpha_composite(image)
        return np.asarray(page.convert("RGB"))


def emoji_drawings(google: Path, twitter: Path, fluent: Path, emojilib: Path) -> Iterator[Drawing]:
    """Three styles of the emoji, with their names and the first keywords of emojilib."""
    keywords = json.loads((emojilib / "package/dist/emoji-en-US.json").read_text(encoding="utf-8"))
    captions: dict[str, tuple[str, ...]] = {}
    for vendor, folder in (("google", google), ("twitter", twitter)):
        base = folder / "package"
        for entry in json.loads((base / "emoji.json").read_text(encoding="utf-8")):
            path = base / "img" / vendor / "64" / entry["image"]
            if entry["category"] in SKIPPED_EMOJI or not entry[f"has_img_{vendor}"] or not path.exists():
                continue
            captions[_code(entry["unified"])] = _emoji_captions(entry, keywords)
            yield Drawing(path, captions[_code(entry["unified"])])
    for path in sorted(fluent.rglob("*.webp")):
        if _code(path.stem) in captions:
            yield Drawing(path, captions[_code(path.stem)])


def clipart_drawings(openclipart: Path) -> Iterator[Drawing]:
    """Openclipart's drawings of things, captioned by file name and keywords."""
    base = openclipart / "usr/share/openclipart/svg"
    for path in sorted(base.rglob("*.svg")):
        folder = str(path.parent.relative_to(base))
        if any(part in folder for part in SKIPPED_FOLDERS) or path.stat().st_size > MAX_SVG_BYTES:
            continue
        if path.name in NEAR_COPIES:
            continue
        keywords = re.findall(r"<rdf:li>([^<]+)</rdf:li>", path.read_text(encoding="utf-8", errors="ignore"))
        short = [word.strip() for word in keywords if 0 < len(word.strip()) < 25]
        # File names end with the name of who drew them.
        caption = _plain(re.sub(r"_[a-z]{2,}_?\d*[a-z]?$", "", path.stem))
        if caption:
            yield Drawing(path, _distinct([caption, *short[: CLIPART_WORDS - 1]]))


def _emoji_captions(entry: dict[str, str], keywords: dict[str, list[str]]) -> tuple[str, ...]:
    sign = "".join(chr(int(code, 16)) for code in entry["unified"].split("-"))
    words = keywords.get(sign) or keywords.get(sign.replace("\ufe0f", "")) or []
    return _distinct([*(word.replace("_", " ") for word in words[:EMOJI_WORDS]), entry["name"].lower()])


def _code(unified: str) -> str:
    return unified.lower().replace("-fe0f", "")


def _plain(name: str) -> str:
    name = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return re.sub(r"[\s_\-.\d]+", " ", name).strip().lower()


def _distinct(words: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))

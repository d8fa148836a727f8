"""Small sets of pairs that tests train on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("blorf", "wug", "zep", "tulgey", "mimsy", "snark")
_COLOURS = ((220, 30, 30), (30, 180, 40), (40, 60, 220), (230, 200, 20), (150, 40, 180), (30, 200, 200))


def write_shapes(folder: Path, each: int = 8, size_px: int = 96) -> Path:
    """Pictures of coloured shapes with names that no model knows, and the file of pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    lines = []
    for number, (name, colour) in enumerate(zip(NAMES, _COLOURS, strict=True)):
        for copy in range(each):
            background = tuple(random.integers(180, 255, 3).tolist())
            picture = Image.new("RGB", (size_px, size_px), background)
            left, top = (int(value) for value in random.integers(2, size_px // 3, 2))
            side = int(random.integers(size_px // 3, size_px // 2))
            box = (left, top, left + side, top + side)
            draw = ImageDraw.Draw(picture)
            (draw.ellipse if number % 2 else draw.rectangle)(box, fill=colour)
            picture.save(folder / f"{name}{copy}.png")
            lines.append(json.dumps({"text": f"a {name}", "image": f"{name}{copy}.png"}))
    pairs = folder / "pairs.jsonl"
    pairs.write_text("\n".join(lines) + "\n")
    return pairs

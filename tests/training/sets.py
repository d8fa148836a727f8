"""Small sets of pairs as files, and settings of a model that trains in seconds."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

TINY: dict[str, Any] = {
    "preset": "nano",
    "batch_size": 8,
    "warmup_steps": 2,
    "threads": 1,
    "model": {
        "task": {"patch_image_size": 32},
        "encoder": {"embed_dim": 32, "ffn_embed_dim": 48, "layers": 2, "attention_heads": 2},
        "decoder": {"embed_dim": 16, "ffn_embed_dim": 32, "attention_heads": 2},
    },
}


def png(number: int, size: tuple[int, int] = (40, 36)) -> bytes:
    """A picture in one colour with some noise."""
    chance = np.random.default_rng(number)
    pixels = chance.integers(0, 60, (*size, 3)) + chance.integers(0, 190, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def wav(number: int, seconds: float = 1.0) -> bytes:
    """A tone with some noise."""
    chance = np.random.default_rng(number)
    time_s = np.arange(int(16_000 * seconds)) / 16_000
    wave = np.sin(2 * np.pi * (200 + 50 * number) * time_s) + chance.normal(size=len(time_s)) * 0.1
    buffer = io.BytesIO()
    soundfile.write(buffer, (wave * 0.3).astype(np.float32), 16_000, format="WAV")
    return buffer.getvalue()


def write_manifest(folder: Path, pictures: int = 24, sounds: int = 24) -> Path:
    """A manifest of pictures and sounds beside their files."""
    lines: list[dict[str, Any]] = []
    for number in range(pictures):
        (folder / f"{number}.png").write_bytes(png(number))
        lines.append({"image": f"{number}.png", "text": [f"picture {number} of a thing", f"thing {number}"]})
    for number in range(sounds):
        (folder / f"{number}.wav").write_bytes(wav(number, 1 + number % 2 / 2))
        lines.append({"modality": "audio", "path": f"{number}.wav", "text": f"sound {number} of a thing"})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    """A tar file with these members, in this order."""
    with tarfile.open(path, "w") as shard:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            shard.addfile(entry, io.BytesIO(content))
    return path

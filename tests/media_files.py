"""Small media files that tests make for themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

RATE_HZ = 16_000


def write_picture(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture of coloured blocks; another seed gives another picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def write_sound(path: Path, seed: int, seconds: float = 1.0) -> Path:
    """A chord; another seed gives another chord."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tones = np.random.default_rng(seed).uniform(200, 2000, 3)
    wave = sum(np.sin(2 * np.pi * tone * times) for tone in tones) / 4
    soundfile.write(path, np.asarray(wave, dtype=np.float32), RATE_HZ)
    return path


def write_text(path: Path, words: str) -> Path:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words, encoding="utf-8")
    return path


def write_folder(folder: Path) -> Path:
    """Four pictures, two sounds (one of several windows), two texts, a broken picture, a file of no kind."""
    for number in range(4):
        write_picture(folder / f"picture{number}.png", number)
    write_sound(folder / "sounds" / "short.wav", 1)
    write_sound(folder / "sounds" / "long.flac", 2, seconds=40)
    write_text(folder / "texts" / "dog.txt", "A dog runs through the snow.")
    write_text(folder / "texts" / "train.md", "# Train\n\nA steam train leaves the station.")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (folder / "table.bin").write_bytes(bytes(range(256)) * 4)
    return folder

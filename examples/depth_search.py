"""Words that find depth maps: renders a set, trains a small model, adds depth to it, indexes and searches.

    python examples/depth_search.py FOLDER [SCENES]

Pictures and captions train a small ONE-PEACE from random weights; depth maps of other scenes are then
aligned to its frozen trunk. Needs searchkit[train]; docs/new-modality.md explains each step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image

import searchkit as sk
from searchkit.training.align import align
from searchkit.training.contrastive import ContrastOptions
from searchkit.training.finetune import FineTuneOptions, finetune
from searchkit.training.fresh import new_model, small_config

SIZE_PX = 64
KINDS = {
    "a ball on the floor": 1,
    "three balls on the floor": 2,
    "a box on the floor": 3,
    "a stack of boxes": 4,
    "an empty room": 5,
    "a long corridor": 6,
    "stairs going up": 7,
    "a row of columns": 8,
    "a table": 9,
    "a doorway in a wall": 10,
}
WORDINGS = ("{}", "a picture of {}", "here is {}", "{} seen from the front", "{}, indoors")


def scene(kind: int, rng: np.random.Generator) -> tuple[list, list, tuple | None]:
    """Boxes (low corner, high corner), balls (centre, radius), and the hollow box around all, or None."""
    x, z, size = rng.uniform(-0.8, 0.8), rng.uniform(2.4, 4), rng.uniform(0.8, 1.3)
    boxes, balls, hollow = [((-9, -0.1, 0.5), (9, 0, 14))], [], None
    if kind == 1:
        balls = [((x, size * 0.7, z), size * 0.7)]
    elif kind == 2:
        balls = [((x + 1.3 * n, 0.45, z + rng.uniform(-0.5, 0.5)), 0.45) for n in (-1, 0, 1)]
    elif kind == 3:
        boxes += [((x - size / 2, 0, z), (x + size / 2, size, z + size))]
    elif kind == 4:
        for n in range(3):
            shift, half = x + rng.uniform(-0.2, 0.2), size * (0.6 - 0.1 * n)
            boxes += [((shift - half, n * size * 0.75, z), (shift + half, (n + 1) * size * 0.75, z + size))]
    elif kind in (5, 6):
        wide, deep = (rng.uniform(2.5, 4), rng.uniform(5, 7)) if kind == 5 else (rng.uniform(0.9, 1.3), 13)
        hollow = ((-wide, 0, -1), (wide, rng.uniform(2.5, 3.2), deep))
    elif kind == 7:
        rise, tread = rng.uniform(0.2, 0.3), rng.uniform(0.35, 0.5)
        boxes += [((-2, 0, 2 + n * tread), (2, (n + 1) * rise, 9)) for n in range(8)]
    elif kind == 8:
        gap, half = rng.uniform(1.1, 1.5), rng.uniform(0.15, 0.25)
        boxes += [((n * gap - half, 0, z), (n * gap + half, 4, z + 2 * half)) for n in range(-3, 4)]
    elif kind == 9:
        high, half = rng.uniform(0.8, 1.1), rng.uniform(0.9, 1.3)
        boxes += [((x - half, high, z), (x + half, high + 0.12, z + 1.2))]
        corners = [(sx, sz) for sx in (x - half, x + half - 0.15) for sz in (z, z + 1.05)]
        boxes += [((sx, 0, sz), (sx + 0.15, high, sz + 0.15)) for sx, sz in corners]
    elif kind == 10:
        half, high = rng.uniform(0.5, 0.8), rng.uniform(2, 2.4)
        boxes += [((-9, 0, z), (x - half, 4, z + 0.3)), ((x + half, 0, z), (9, 4, z + 0.3))]
        boxes += [((x - half, high, z), (x + half, 4, z + 0.3))]
    return boxes, balls, hollow


def render(kind: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Metres (S, S), 0 where no ray ends, and a shaded picture (S, S, 3) of the same scene."""
    boxes, balls, hollow = scene(kind, rng)
    turn, tilt = rng.uniform(-0.25, 0.25), rng.uniform(-0.25, -0.05)
    across = np.linspace(-0.8, 0.8, SIZE_PX)
    right, up = np.meshgrid(across, -across)
    rays = np.stack([right, up + tilt, np.ones_like(right)], -1)
    rays = rays @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    rays[np.abs(rays) < 1e-6] = 1e-6
    eye = np.array([rng.uniform(-0.3, 0.3), rng.uniform(1.3, 1.7), 0])
    far, thing = np.full(rays.shape[:2], np.inf), np.zeros(rays.shape[:2], int)
    for number, (low, high) in enumerate([*boxes, *([hollow] if hollow else [])]):
        first, second = (low - eye) / rays, (high - eye) / rays
        enters, leaves = np.minimum(first, second).max(-1), np.maximum(first, second).min(-1)
        hit = leaves if hollow and number == len(boxes) else np.where(enters < leaves, enters, np.inf)
        hit = np.where(hit > 0.05, hit, np.inf)
        thing, far = np.where(hit < far, number, thing), np.minimum(far, hit)
    for number, (centre, radius) in enumerate(balls):
        middle = eye - np.array(centre)
        a, b, c = (rays**2).sum(-1), rays @ middle, middle @ middle - radius**2
        inside = b**2 - a * c
        hit = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
        thing, far = np.where(hit < far, 20 + number, thing), np.minimum(far, np.where(hit > 0, hit, np.inf))
    metres = np.where(far < 15, far, 0) * (1 + 0.01 * rng.normal(size=far.shape))
    places = eye + rays * np.minimum(far, 15)[..., None]
    facing = np.cross(np.gradient(places, axis=1), np.gradient(places, axis=0))
    facing /= np.linalg.norm(facing, axis=-1, keepdims=True) + 1e-9
    light = rng.normal(size=3)
    shade = 0.35 + 0.65 * np.abs(facing @ (light / np.linalg.norm(light)))
    picture = rng.uniform(60, 255, (40, 3))[thing] * shade[..., None] * (metres > 0)[..., None]
    return metres.astype(np.float32), picture.clip(0, 255).astype(np.uint8)


def write_set(folder: Path, count: int, *, modality: str, seed: int) -> Path:
    """Renders with captions, as pictures or as 16-bit depth maps; returns the file of pairs."""
    folder.mkdir(parents=True)
    rng, lines = np.random.default_rng(seed), []
    for number in range(count):
        words, kind = list(KINDS.items())[number % len(KINDS)]
        metres, picture = render(kind, rng)
        name = f"{kind:02d}-{number:05d}.png"
        pixels = picture if modality == "image" else (1000 * metres).clip(0, 65535).astype(np.uint16)
        Image.fromarray(pixels).save(folder / name)
        lines.append(json.dumps({"text": rng.choice(WORDINGS).format(words), modality: name}))
    (pairs := folder / "pairs.jsonl").write_text("\n".join(lines))
    return pairs


def run(folder: Path, scenes: int = 240, dim: int = 64, epochs: int = 12) -> dict[str, float]:
    """The whole way; the share of right depth maps among the first ten for words, for pictures, by chance."""
    pictures = write_set(folder / "pictures", scenes, modality="image", seed=1)
    depths = write_set(folder / "depths", scenes, modality="depth", seed=2)
    write_set(folder / "unseen", 200, modality="depth", seed=3)
    write_set(folder / "asking", 50, modality="image", seed=4)
    new_model(folder / "random", small_config(dim=dim, size_px=SIZE_PX))
    options = FineTuneOptions(method="full", epochs=epochs, batch_size=32, learning_rate=2e-3)
    finetune(pictures, folder / "seeing", model=str(folder / "random"), options=options)
    learning = ContrastOptions(epochs=epochs, batch_size=32, learning_rate=2e-3)
    align(depths, folder / "ranging", model=str(folder / "seeing"), modality="depth", options=learning)
    with sk.open_library(folder / "library", model=str(folder / "ranging")) as library:
        library.index(folder / "unseen")

        def share(query: sk.Query, kind: str) -> float:
            found = library.search(query, to="depth", k=10)
            return sum(result.path.name.startswith(kind) for result in found) / 10

        by_words = {words: share(sk.text(words), f"{kind:02d}-") for words, kind in KINDS.items()}
        # No picture was ever paired with a depth map: both were paired with words.
        by_pictures = [share(sk.image(path), path.name[:3]) for path in (folder / "asking").glob("*.png")]
    print("\n".join(f"{found:.1f}  {words}" for words, found in by_words.items()))
    return {"words": fmean(by_words.values()), "pictures": fmean(by_pictures), "chance": 1 / len(KINDS)}


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 240))

"""Builds the training shards and the test sets from unpacked packages; knows no model but `mini`'s features.

Test sets hold concepts that no training caption names, and other pictures or takes of concepts that some do.
What is both seen and heard in training is so by the same word on both sides, never by a pair of the two.
"""

import hashlib
import io
import json
import random
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from mini.arrays import Array
from mini.drawings import Drawing
from PIL import Image

from searchkit.encoders import open_encoder
from searchkit.types import ImageSample

from .concepts import UNSEEN, heard_and_seen, is_held_out, one_in
from .sounds import RATE_HZ, Sound

PICTURE_PX = 80
SHARD_SIZE = 2000
NEAR_COPY = 0.97
"""Cosine of `mini`'s picture vectors from which a training picture counts as a copy of a test picture."""
TEST_TAKES = 3
KEPT_STYLE = "twitter"
"""The vendor whose drawing of every sixth trained emoji, and of all that can be heard, is for the test."""
KEPT_CLIPART = 3
"""Of what can be heard, one drawing of Openclipart in so many is for the test."""
PAIRS_PER_THING = 60
"""Things that are both seen and heard come at least this often in an epoch, on either side."""


@dataclass(frozen=True)
class Picture:
    """A drawing as PNG bytes, its captions with the name first, and where it is from."""

    png: bytes
    captions: tuple[str, ...]
    source: str
    pixels: Array

    @property
    def concept(self) -> str:
        """The name, without numbers."""
        return self.captions[0]


def read_pictures(drawings: Iterable[Drawing]) -> Iterator[Picture]:
    """Decode drawings and bring them to `PICTURE_PX`; those that cannot be rendered are left out."""
    for drawing in drawings:
        try:
            image = Image.fromarray(drawing.pixels())
        except (ValueError, OSError, RuntimeError):
            continue
        small = image.resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        small.save(buffer, "png")
        name = next((v for v in ("google", "twitter", "fluent", "openclipart") if v in str(drawing.path)), "")
        yield Picture(buffer.getvalue(), drawing.captions, name, np.asarray(image.resize((224, 224))))


def split_pictures(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture], list[Picture], int]:
    """Training pictures, those of held-out concepts, others of trained ones, and how many copies went."""
    held = {p.concept for p in pictures if is_held_out(p.concept)}
    unseen = [p for p in pictures if p.concept in held]
    rest = [p for p in pictures if p.concept not in held and not _names_any(p.captions, held)]
    kept = [p for p in rest if p.source == KEPT_STYLE and one_in(f"style {p.concept}", 6)]
    kept += _of_things(p for p in rest if not any(p is other for other in kept))
    kept_ids = {id(p) for p in kept}
    train = [p for p in rest if id(p) not in kept_ids]
    copies = _near_copies(train, unseen + kept)
    return [p for p, copy in zip(train, copies, strict=True) if not copy], unseen, kept, int(copies.sum())


def _of_things(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Those to keep for the test of what can be heard: one style, and some of the single drawings."""
    single: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        thing = heard_and_seen(picture.concept)
        if thing and picture.source == KEPT_STYLE:
            yield picture
        elif thing and picture.source == "openclipart":
            single[thing].append(picture)
    for drawings in single.values():
        drawings.sort(key=lambda picture: hashlib.sha256(picture.png).hexdigest())
        yield from drawings[KEPT_CLIPART - 1 :: KEPT_CLIPART]


def split_sounds(sounds: Sequence[Sound]) -> tuple[list[Sound], list[Sound], list[Sound]]:
    """Training sounds, sounds of held-out concepts, other takes of trained ones."""
    unseen = [s for s in sounds if is_held_out(s.name) or heard_and_seen(s.name) in UNSEEN]
    rest = [s for s in sounds if not (is_held_out(s.name) or heard_and_seen(s.name) in UNSEEN)]
    kept = [s for s in rest if s.source == "sound font" and s.take < TEST_TAKES]
    kept_ids = {id(s) for s in kept}
    return [s for s in rest if id(s) not in kept_ids], unseen, kept


def _names_any(captions: Sequence[str], held: set[str]) -> bool:
    """Whether a caption is a held-out concept's name, or names an unseen thing."""
    return any(caption in held or heard_and_seen(caption) in UNSEEN for caption in captions)


def _near_copies(train: Sequence[Picture], test: Sequence[Picture]) -> Array:
    encoder = open_encoder("mini")
    vectors = []
    for pictures in (train, test):
        rows = [
            encoder.encode([ImageSample(p.pixels) for p in pictures[start : start + 64]])
            for start in range(0, len(pictures), 64)
        ]
        vectors.append(np.concatenate(rows))
    return np.asarray((vectors[0] @ vectors[1].T).max(axis=1) > NEAR_COPY)


def write_shards(folder: Path, name: str, samples: Sequence[tuple[str, bytes, Sequence[str], int]]) -> None:
    """Shards in the WebDataset convention: KEY.EXTENSION and KEY.json beside each other, in seeded order.

    A sample is its extension, its bytes, its captions, and how often an epoch has it.
    """
    order = list(samples)
    random.Random(name).shuffle(order)
    for start in range(0, len(order), SHARD_SIZE):
        with tarfile.open(folder / f"{name}-{start // SHARD_SIZE:04d}.tar", "w") as shard:
            part = enumerate(order[start : start + SHARD_SIZE], start)
            for number, (extension, media, captions, repeat) in part:
                said = json.dumps({"text": list(captions), "repeat": repeat}).encode()
                for ending, content in ((extension, media), ("json", said)):
                    entry = tarfile.TarInfo(f"{number:06d}.{ending}")
                    entry.size = len(content)
                    shard.addfile(entry, io.BytesIO(content))


def flac(sound: Sound) -> bytes:
    """A sound as FLAC, brought to a common level."""
    buffer = io.BytesIO()
    level = np.abs(sound.waveform).max()
    soundfile.write(buffer, sound.waveform / level * 0.9, RATE_HZ, format="FLAC")
    return buffer.getvalue()


def write_test(folder: Path, name: str, pictures: Sequence[Picture], sounds: Sequence[Sound]) -> None:
    """A test set in the shape that benchmarks/quality.py reads, with its media beside it.

    Pictures and sounds are `emergent` where the thing they show has both.
    """
    (folder / name).mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, object]] = []
    for number, picture in enumerate(pictures):
        path = f"{name}/{number:05d}.png"
        (folder / path).write_bytes(picture.png)
        lines.append({"modality": "image", "path": path, "text": plain(picture.concept)})
    for number, sound in enumerate(sounds):
        path = f"{name}/{number:05d}.flac"
        (folder / path).write_bytes(flac(sound))
        lines.append({"modality": "audio", "path": path, "text": plain(sound.name)})
    write_lines(folder / f"{name}.jsonl", lines)


def write_lines(path: Path, lines: Sequence[dict[str, object]]) -> None:
    """Add to each line the thing that it shows, and whether that has pictures and sounds."""
    things = [heard_and_seen(str(line["text"])) for line in lines]
    kinds: dict[str, set[object]] = defaultdict(set)
    for thing, line in zip(things, lines, strict=True):
        kinds[thing].add(line["modality"])
    with path.open("w", encoding="utf-8") as file:
        for thing, line in zip(things, lines, strict=True):
            both = bool(thing) and len(kinds[thing]) == 2
            file.write(json.dumps({**line, "concepts": [thing] if thing else [], "emergent": both}) + "\n")


def plain(caption: str) -> str:
    """A caption in lower case with single spaces."""
    return re.sub(r"\s+", " ", caption.lower()).strip()


def said(captions: Sequence[str], shared: Collection[str]) -> list[str]:
    """What is said in training: a name, alone or with one keyword; mostly the thing, where it is shared."""
    name, *keywords = map(plain, captions)
    whole = [name, *(f"{name}, {keyword}" for keyword in keywords if keyword != name)]
    thing = heard_and_seen(name)
    return [thing, thing, *whole[:2]] if thing in shared else whole


def repeats(names: Sequence[str], shared: Collection[str]) -> list[int]:
    """How often an epoch has each sample, by its name."""
    things = [heard_and_seen(name) for name in names]
    counts = Counter(things)
    return [-(-PAIRS_PER_THING // counts[thing]) if thing in shared else 1 for thing in things]


def build(folder: Path, pictures: Sequence[Picture], sounds: Sequence[Sound]) -> dict[str, int]:
    """Write everything, and count it."""
    folder.mkdir(parents=True, exist_ok=True)
    train_p, unseen_p, kept_p, copies = split_pictures(pictures)
    train_s, unseen_s, kept_s = split_sounds(sounds)
    seen, heard = [p.concept for p in train_p], [s.name for s in train_s]
    shared = ({*map(heard_and_seen, seen)} & {*map(heard_and_seen, heard)}) - {""}
    images = zip(train_p, repeats(seen, shared), strict=True)
    write_shards(
        folder, "image-train", [("png", p.png, said(p.captions, shared), times) for p, times in images]
    )
    audios = zip(train_s, repeats(heard, shared), strict=True)
    write_shards(folder, "audio-train", [("flac", flac(s), said([s.name], shared), n) for s, n in audios])
    write_test(folder / "test", "unknown", unseen_p, unseen_s)
    write_test(folder / "test", "known", kept_p, kept_s)
    counts = {
        "image pairs": len(train_p),
        "audio pairs": len(train_s),
        "near-copies removed": copies,
        "things both seen and heard": len(shared),
        "pictures of held-out concepts": len(unseen_p),
        "held-out concepts": len({p.concept for p in unseen_p}),
        "other pictures of trained concepts": len(kept_p),
        "sounds of held-out concepts": len(unseen_s),
        "held-out sound concepts": len({s.name for s in unseen_s}),
        "other takes of trained sounds": len(kept_s),
    }
    (folder / "counts.json").write_text(json.dumps(counts, indent=1))
    return counts

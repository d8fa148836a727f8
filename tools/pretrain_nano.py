"""Pretrain a small ONE-PEACE from random weights, with and without the denoising losses, and measure both.

    python tools/pretrain_nano.py DIR [--cache DIR] [--image-steps N] [--audio-steps N] [--dev-media DIR]

Builds the set when DIR has none (see tools/build_nano_set.py for what that needs), trains text with pictures
and then text with sounds, never a sound with a picture, runs benchmarks/quality.py on what was held out, and
writes DIR/curves.png and DIR/table.md. A stopped run goes on where it was. By the time of single steps, the
default numbers of steps take about half an hour on two quiet cores, with the set.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
QUALITY = HERE.parent / "benchmarks" / "quality.py"
RUNS = {"with": (1.0, 1.0), "without": (0.0, 1.0), "without-long": (0.0, 2.0)}
"""Runs by name: the weight of their denoising losses, and how many times the image steps they take.

An image step without denoising costs 0.4 of one with it: the third run has more steps and takes less time.
"""
IMAGE = {"learning_rate": 4e-4, "flip": True}
AUDIO = {"learning_rate": 5e-4}
COMMON = {
    "preset": "nano",
    "batch_size": 64,
    "warmup_steps": 50,
    "bf16": True,
    "threads": 1,
    "crop_scale": 0.7,
    "ema_decay": 0.98,
    "save_every": 50,
    "log_every": 10,
}


def main() -> None:
    options = arguments()
    folder: Path = options.folder
    data = folder / "set"
    if not (data / "counts.json").is_file():
        run("build the set", [HERE / "build_nano_set.py", data, "--cache", options.cache])
    steps = {"image": options.image_steps, "audio": options.audio_steps}
    for modality, own in (("image", IMAGE), ("audio", AUDIO)):
        settings = folder / f"{modality}.json"
        settings.write_text(json.dumps({**COMMON, **own, "modality": modality}))
        shards = sorted(data.glob(f"{modality}-train-*.tar"))
        started = []
        for name, (weight, times) in RUNS.items():
            count = round(steps[modality] * (times if modality == "image" else 1))
            command = ["-m", "searchkit", "train", "pretrain", folder / f"{name}-{modality}", *shards]
            command += ["--settings", settings, "--denoising", str(weight), "--steps", count]
            command += ["--from", folder / f"{name}-image"] if modality == "audio" else []
            started.append((name, start(command)))
        for name, process in started:
            if process.wait():
                sys.exit(f"training {name} {modality} failed")
    runs = [folder / f"{name}-{modality}" for modality in steps for name in RUNS]
    run("draw", ["-m", "searchkit", "train", "curves", *runs, "--to", folder / "curves.png"])
    models = {name: ["--model", "one-peace", "--model-dir", folder / f"{name}-audio/model"] for name in RUNS}
    models["mini"] = []
    sets: dict[str, list[Any]] = {
        name: ["--eval", data / "test" / f"{name}.jsonl", "--media", data / "test"]
        for name in ("unknown", "known")
    }
    if options.dev_media:
        sets["dev"] = ["--media", options.dev_media]
    for name, model in models.items():
        for test, where in sets.items():
            run(f"measure {name}", [QUALITY, *model, *where, "--json", folder / f"{name}-{test}.json"])
    (folder / "table.md").write_text(table(folder, list(models), list(sets)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "searchkit-mini")
    parser.add_argument("--image-steps", type=int, default=600)
    parser.add_argument("--audio-steps", type=int, default=400)
    parser.add_argument("--dev-media", type=Path, help="unpacked packages of benchmarks/quality.py's own set")
    return parser.parse_args()


def start(command: list[Any]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *map(str, command)], env=environment)


def run(what: str, command: list[Any]) -> None:
    print(f"{what} ...", flush=True)
    if start(command).wait():
        sys.exit(f"{what}: failed")


TITLES = {
    ("text -> image", "R@1"): "text to image, hit@1",
    ("text -> image", "R@10"): "text to image, hit@10",
    ("sound -> text", "R@1"): "sound to text, hit@1",
    ("sound -> text", "R@10"): "sound to text, hit@10",
    ("sound -> image, all images", "hit@10"): "sound to image, hit@10",
    ("sound -> image, all images", "mAP"): "sound to image, mAP",
    ("sound -> image, concepts", "hit@10"): "the same, a query a concept, hit@10",
    ("sound -> image, concepts", "mAP"): "the same, a query a concept, mAP",
    ("sound -> image, emergent only", "hit@1"): "sound to image of what sounds, hit@1",
    ("sound -> image, emergent only", "hit@10"): "sound to image of what sounds, hit@10",
    ("caption of the sound -> image, all images", "hit@10"): "the sound's name to image, hit@10",
}
"""Rows of benchmarks/quality.py by what the table calls them."""


def table(folder: Path, models: list[str], sets: list[str]) -> str:
    """A table in Markdown: a row a figure, a column a model, chance beside them."""
    lines = [
        f"| set | task | queries x targets | chance | {' | '.join(models)} |",
        "|---" * (4 + len(models)) + "|",
    ]
    for test in sets:
        found = {name: json.loads((folder / f"{name}-{test}.json").read_text())["rows"] for name in models}
        places = {(row["task"], row["metric"]): place for place, row in enumerate(found[models[0]])}
        for key, title in TITLES.items():
            if key not in places:
                continue
            place = places[key]
            row = found[models[0]][place]
            digits = 3 if row["metric"] == "mAP" else 1
            figures = [
                f"{r['value']:.{digits}f} ({r['low']:.{digits}f} to {r['high']:.{digits}f})"
                for r in (found[name][place] for name in models)
            ]
            size = f"{row['queries']} x {row['targets']}"
            lines.append(
                f"| {test} | {title} | {size} | {row['random']:.{digits}f} | {' | '.join(figures)} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

"""Measure what weights in 8 and 4 bits save and cost: bytes on disk, memory, and the time of encoding.

    python benchmarks/few_bits.py [--layers 4] [--rounds 5] [--model DIR] [--json FILE]

The model has ONE-PEACE's published widths and few layers with random weights, or is the folder `--model`.
Each precision runs in a process of its own on one thread. The rounds go over them in turn, so that a busy
machine slows all of them; a ratio is the median over rounds. What it costs in recall, which random weights do
not have, `searchkit models quantize --pairs` says. Needs 2 GB on disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from process_memory import memory_bytes

BATCHES = {"text": 1, "texts": 16, "image": 1, "images": 8}
"""How many samples each measurement encodes at once."""


def write_model(folder: Path, layers: int) -> None:
    """A folder with the published widths and random weights."""
    import torch

    from searchkit.one_peace.build import build_model
    from searchkit.one_peace.config import ModelConfig
    from searchkit.one_peace.published import published_settings
    from searchkit.one_peace.tokenizer import tokenizer_json
    from searchkit.one_peace.write import write_model_folder

    tokenizer, size = tokenizer_json()
    sections = {**published_settings(head_type="vl", layers=layers), "dictionary_size": size}
    torch.manual_seed(0)
    model = build_model(ModelConfig.from_config(sections))
    write_model_folder(folder, sections, model.state_dict(), tokenizer, source="random weights")


def serve(folder: Path) -> None:
    """Encode what is asked for on standard input, and answer seconds and memory; a child runs this."""
    import numpy as np
    import torch

    from searchkit.encoders.one_peace import load
    from searchkit.types import ImageSample, Sample, TextSample

    torch.set_num_threads(1)
    start_bytes = memory_bytes()
    encoder = load(folder, device="cpu")
    random = np.random.default_rng(0)
    pictures: list[Sample] = [
        ImageSample(random.integers(0, 256, (256, 256, 3), dtype=np.uint8)) for _ in range(BATCHES["images"])
    ]
    words: list[Sample] = [TextSample(f"a dog and {number} cats in the snow") for number in range(16)]
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        samples = (words if name.startswith("text") else pictures)[: BATCHES[name]]
        began = time.perf_counter()
        encoder.encode(samples)
        seconds = time.perf_counter() - began
        found = {"seconds": seconds, **{f"{k}_bytes": v - start_bytes[k] for k, v in memory_bytes().items()}}
        print(json.dumps(found), flush=True)


class Child:
    """One precision in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, __file__, "--child", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def encode(self, name: str) -> dict[str, Any]:
        """Seconds and memory of one measurement."""
        assert self.process.stdin is not None
        print(name, file=self.process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self._read())
        return found

    def _read(self) -> str:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise SystemExit("a child ended early")
        return line


@contextmanager
def children(folders: dict[str, Path]) -> Iterator[dict[str, Child]]:
    """All precisions, ready at the same time."""
    started = {name: Child(folder) for name, folder in folders.items()}
    try:
        yield started
    finally:
        for child in started.values():
            child.process.kill()
            child.process.wait()


def measure(folders: dict[str, Path], rounds: int) -> dict[str, dict[str, Any]]:
    """By precision: memory with all weights in use, and seconds of each round by what was encoded."""
    found: dict[str, dict[str, Any]] = {name: {"seconds": {}} for name in folders}
    with children(folders) as started:
        for batch in BATCHES:
            for child in started.values():
                child.encode(batch)
            for _ in range(rounds):
                for name, child in started.items():
                    answer = child.encode(batch)
                    found[name]["seconds"].setdefault(batch, []).append(answer.pop("seconds"))
                    found[name] |= answer
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, help="a model's folder, in place of random weights")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    from searchkit.training.quantise import quantise

    with tempfile.TemporaryDirectory(prefix="few-bits-") as place:
        folder = arguments.model or Path(place) / "float32"
        if arguments.model is None:
            write_model(folder, arguments.layers)
        folders = {"float32": folder}
        rows: dict[str, dict[str, Any]] = {}
        for bits in (8, 4):
            folders[f"{bits} bits"] = Path(place) / str(bits)
            report = quantise(folder, folders[f"{bits} bits"], bits=bits)
            rows.setdefault("float32", {"bytes": report.bytes_before})
            rows[f"{bits} bits"] = {"bytes": report.bytes_after}
        for name, found in measure(folders, arguments.rounds).items():
            rows[name] |= found
    for row in rows.values():
        row["times"] = {
            batch: median(a / b for a, b in zip(took, rows["float32"]["seconds"][batch], strict=True))
            for batch, took in row["seconds"].items()
        }
    print_rows(rows)
    if arguments.json:
        model = str(arguments.model or f"published widths, {arguments.layers} layers, random weights")
        found = {"model": model, "rounds": arguments.rounds, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def print_rows(rows: dict[str, dict[str, Any]]) -> None:
    """A line a precision; times are multiples of float32's."""
    heads = [f"{batch} ({count})" for batch, count in BATCHES.items()]
    print(f"{'':9}{'disk MB':>9}{'RAM MB':>9}{'not mapped':>12}", *(f"{h:>11}" for h in heads))
    for name, row in rows.items():
        sizes = (
            f"{row['bytes'] / 1e6:9.0f}{row['resident_bytes'] / 1e6:9.0f}{row['anonymous_bytes'] / 1e6:12.0f}"
        )
        times = (f"{row['times'][batch]:10.2f}x" for batch in BATCHES)
        print(f"{name:9}{sizes}", *times)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        serve(Path(sys.argv[2]))
    else:
        main()

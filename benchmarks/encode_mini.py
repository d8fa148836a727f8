"""Measure how fast the built-in encoder is once its input is decoded, and how soon it answers a first text.

    python benchmarks/encode_mini.py [--threads N] [--json FILE]

Pictures and sounds are those of sample_media, decoded before the clock starts; figures are medians.
The first text is timed in processes of their own, in turn with processes that only import onnxruntime, or
only torch where it is installed, so that a busy machine slows all of them alike.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from searchkit.encoders.mini import MiniEncoder, load
from searchkit.errors import DecodeError
from searchkit.media import open_media
from searchkit.types import AudioSample, ImageSample, Sample, TextSample

SAMPLE_MEDIA = Path(__file__).resolve().parent.parent / "sample_media"
ROUNDS = 5
QUERIES = (
    "dog",
    "a photo of a train at a station",
    "heavy rain on a tin roof",
    "church bells ringing far away",
)
FIRST_TEXT = """
from searchkit.encoders.mini import load
from searchkit.types import TextSample
load().encode([TextSample("a dog in the snow")])
"""
NOTHING = "import searchkit.types"


def decoded(folder: str) -> list[Sample]:
    samples: list[Sample] = []
    for path in sorted((SAMPLE_MEDIA / folder).iterdir()):
        try:
            samples += open_media(path).samples
        except DecodeError as error:
            print(f"left out: {error}", file=sys.stderr)
    return samples


def median_s(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def first_answer_s() -> dict[str, float]:
    """Seconds of a fresh process for each of: searchkit's types alone, a first text, single imports."""
    programs = {"types only": NOTHING, "first text": FIRST_TEXT, "import onnxruntime": "import onnxruntime"}
    if importlib.util.find_spec("torch"):
        programs["import torch"] = "import torch"
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def throughput(encoder: MiniEncoder) -> dict[str, float]:
    pictures, sounds = decoded("photos"), decoded("sounds")
    texts = [TextSample(query) for query in QUERIES]
    seconds = sum(sound.duration_s for sound in sounds if isinstance(sound, AudioSample))
    groups: Sequence[Sequence[Sample]] = (pictures, sounds, texts)
    for group in groups:
        encoder.encode(group[:2])
    assert all(isinstance(picture, ImageSample) for picture in pictures)
    return {
        "pictures per second": len(pictures) / median_s(lambda: encoder.encode(pictures)),
        "sound, times faster than it plays": seconds / median_s(lambda: encoder.encode(sounds)),
        "text, ms each": 1000 * median_s(lambda: encoder.encode(texts)) / len(texts),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, help="cores that the encoder may use; default: all")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    figures = throughput(load(threads=args.threads))
    for name, seconds in first_answer_s().items():
        figures[f"fresh process, {name}, s"] = seconds
    for name, value in figures.items():
        print(f"{name:40} {value:8.2f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Measure decoding: in this process, and in the worker processes that keep a crash from the run.

    python benchmarks/decode.py                  all cases, two files at once
    python benchmarks/decode.py --json FILE      the same, as JSON

Each case is decoded in turns by both ways on the same files, several times; the figures are medians over the
turns. "isolated" is the throughput of ``DecoderPool`` divided by that of ``open_media`` called from as many
threads; "draft" is that of reduced decoding divided by that at full size, in this process.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

from searchkit.media import Decoded, DecodeSettings, open_media
from searchkit.media.isolate import DecoderPool

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = DecodeSettings()


@dataclass(frozen=True)
class Row:
    """One case: throughput in this process, in files and in seconds of media a second, and two ratios."""

    case: str
    files: int
    files_per_s: float
    times_real_time: float | None
    isolated: float
    draft: float | None


def photos(folder: Path, count: int, size: tuple[int, int]) -> Iterator[Path]:
    sources = sorted((ROOT / "sample_media" / "photos").glob("*.jpg"))
    for number in range(count):
        path = folder / f"{size[0]}_{number}.jpg"
        with Image.open(sources[number % len(sources)]) as source:
            source.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        yield path


def sounds(folder: Path, count: int, seconds: float, extension: str) -> Iterator[Path]:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{seconds:g}_{number}.{extension}"
        soundfile.write(
            path, rng.standard_normal((round(seconds * 44_100), 2)).astype(np.float32) * 0.1, 44_100
        )
        yield path


def videos(folder: Path, count: int, seconds: int) -> Iterator[Path]:
    source = (
        Image.open(next((ROOT / "sample_media" / "photos").glob("*.jpg"))).convert("RGB").resize((1400, 900))
    )
    for number in range(count):
        path = folder / f"{seconds}_{number}.mp4"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
            for step in range(seconds * 25):
                # The camera pans, and turns round every ten seconds.
                view = source.crop((step % 120, step % 160, step % 120 + 1280, step % 160 + 720))
                view = view.rotate(180) if step // 250 % 2 else view
                output.mux(stream.encode(av.VideoFrame.from_image(view)))
            output.mux(stream.encode())
        yield path


def texts(folder: Path, count: int) -> Iterator[Path]:
    for number in range(count):
        path = folder / f"{number}.txt"
        path.write_text(f"Paragraph {number} tells of a dog in the snow. " * 200, encoding="utf-8")
        yield path


def seconds_taken(paths: list[Path], opener: Callable[[Path], Decoded], threads: int) -> float:
    def read(path: Path) -> int:
        return sum(1 for _ in opener(path).samples)

    start_s = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(read, paths))
    return time.perf_counter() - start_s


def measure(case: str, paths: list[Path], pool: DecoderPool, threads: int, turns: int) -> Row:
    full = replace(SETTINGS, image_max_side_px=None)
    ways: dict[str, Callable[[Path], Decoded]] = {
        "here": lambda path: open_media(path, SETTINGS),
        "isolated": lambda path: pool.open_media(path, SETTINGS),
    }
    if "photo" in case:
        ways["full"] = lambda path: open_media(path, full)
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(turns + 1):
        for way, opener in ways.items():
            seconds = seconds_taken(paths, opener, threads)
            # The first turn fills caches and starts workers.
            if turn:
                taken[way].append(seconds)
    here_s = statistics.median(taken["here"])
    duration_s = sum(open_media(path).facts.duration_s or 0 for path in paths)

    def ratio(way: str) -> float:
        return statistics.median(other / here for here, other in zip(taken["here"], taken[way], strict=True))

    return Row(
        case=case,
        files=len(paths),
        files_per_s=len(paths) / here_s,
        times_real_time=duration_s / here_s if duration_s else None,
        isolated=1 / ratio("isolated"),
        draft=ratio("full") if "full" in taken else None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--threads", type=int, default=2, help="files decoded at once (default 2)")
    parser.add_argument("--turns", type=int, default=5, help="turns that the medians are over (default 5)")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name, DecoderPool(options.threads) as pool:
        folder = Path(name)
        cases = {
            "photos, 12 megapixels, JPEG": photos(folder, 24, (4000, 3000)),
            "photos, 640 x 480, JPEG": photos(folder, 200, (640, 480)),
            "sounds, 5 s, WAV": sounds(folder, 60, 5, "wav"),
            "sounds, 5 s, MP3": sounds(folder, 60, 5, "mp3"),
            "sound, 10 minutes, FLAC": sounds(folder, 2, 600, "flac"),
            "videos, 60 s, 720p, H.264": videos(folder, 2, 60),
            "texts, 9 kB": texts(folder, 200),
        }
        for case, paths in cases.items():
            rows.append(row := measure(case, list(paths), pool, options.threads, options.turns))
            speed = f"{row.times_real_time:7.0f} x real time" if row.times_real_time else " " * 19
            draft = f"   draft {row.draft:.2f}" if row.draft else ""
            print(f"{row.case:28}{row.files_per_s:9.1f} files/s {speed}   isolated {row.isolated:.2f}{draft}")
            sys.stdout.flush()
    if options.json:
        figures = {"threads": options.threads, "turns": options.turns, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

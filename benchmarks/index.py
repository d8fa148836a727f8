"""Measures the indexer: a second run against a bare walk, throughput against the encoder alone, memory.

    python benchmarks/index.py --json index.json [--files 100000] [--samples 200] [--cost-ms 100]

Files are made on the spot. The encoder is a stand-in that takes a fixed time for a sample without using the
processor, as one on an accelerator does; with it, "encoder alone" is the highest throughput there can be, and
whatever the pipeline adds shows. Every ratio comes from one process on one machine.

With ``--rclip DIR`` the photos also go through rclip's own pipeline (loader threads, batches of eight, its
database), its model replaced by the same stand-in. DIR is where it lies, apart from what searchkit uses:

    pip install --target DIR --no-deps rclip ftfy regex wcwidth
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import types
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.types import FloatArray, Modality, Sample, Space

DIM = 256
ALL = frozenset({Modality.TEXT, Modality.IMAGE, Modality.AUDIO})


class FixedCost:
    """Takes a fixed time for each sample; vectors are random but follow from the sample."""

    modalities = ALL
    audio_rate_hz = 16_000
    space = Space("fixed-cost", "1", "none", DIM)

    def __init__(self, cost_s: float) -> None:
        self.cost_s = cost_s

    def encode(self, samples: Sequence[Sample]) -> FloatArray:
        """Unit rows (N, DIM), after N times the cost."""
        started = time.perf_counter()
        rows = np.empty((len(samples), DIM), np.float32)
        for row, sample in zip(rows, samples, strict=True):
            seed = zlib.crc32(repr(sample)[:64].encode()) if sample.modality != "text" else hash(sample.text)
            row[:] = np.random.default_rng(abs(seed)).standard_normal(DIM)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        time.sleep(max(0.0, self.cost_s * len(samples) - (time.perf_counter() - started)))
        return rows

    def close(self) -> None:
        """Nothing to free."""


def install(cost_s: float) -> FixedCost:
    """Put the stand-in into the table of encoders."""
    from searchkit.encoders import spec

    encoder = FixedCost(cost_s)
    module = types.ModuleType("fixed_cost")
    module.load = lambda folder=None: encoder  # type: ignore[attr-defined]
    sys.modules["fixed_cost"] = module
    info = spec.EncoderInfo("fixed-cost", "fixed_cost", ALL, DIM, "none", "a stand-in")
    spec.ENCODERS = {**spec.ENCODERS, "fixed-cost": info}
    return encoder


def make_texts(folder: Path, count: int) -> Path:
    for number in range(count):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.txt"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"Note {number}.")
    return folder


def make_photos(folder: Path, count: int) -> Path:
    """Twelve-megapixel JPEGs with the detail of photos; eight motifs, each copy with bytes of its own."""
    from PIL import Image

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    motifs = []
    for number in range(min(count, 8)):
        coarse = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((4000, 3000), Image.Resampling.BICUBIC))
        grain = rng.integers(-12, 12, (3000, 4000, 1), dtype=np.int16)
        path = folder / f"motif{number}.jpg"
        Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8)).save(path, quality=90)
        motifs.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        (folder / f"{number:05d}.jpg").write_bytes(motifs[number % len(motifs)] + number.to_bytes(8, "big"))
    return folder


def make_sounds(folder: Path, count: int) -> Path:
    import soundfile

    folder.mkdir(parents=True)
    for number in range(count):
        wave = np.random.default_rng(number).standard_normal(10 * 44_100).astype(np.float32) / 8
        soundfile.write(folder / f"{number:05d}.flac", wave, 44_100)
    return folder


def bare_walk(folder: Path) -> int:
    """The least that a second run can do: look at every file's stat."""
    count, waiting = 0, [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    entry.stat()
                    count += 1
    return count


def open_library(place: Path) -> Any:
    import searchkit

    return searchkit.open_library(place, model="fixed-cost")


def fill_catalog(library: Any, media: Path) -> None:
    """Note every file of a folder as embedded, as a first run would, without embedding it."""
    from searchkit.catalog import assets, spaces, words
    from searchkit.catalog.tables import EmbeddingState
    from searchkit.indexer.scan import Found, walk

    with library.catalog.write() as connection:
        root = assets.ensure_root(connection, str(media))
        space = spaces.ensure_space(connection, library.space)
        found = [seen for seen in walk(str(media)) if isinstance(seen, Found)]
        for start in range(0, len(found), 5000):
            part = found[start : start + 5000]
            keys = assets.insert_assets(
                connection,
                [
                    {
                        "root_id": root,
                        "path": seen.path,
                        "size_bytes": seen.size_bytes,
                        "mtime_ns": seen.mtime_ns,
                        "modality": "text",
                        "content_hash": f"{start + number:032x}",
                        "date": "2020-01-01T00:00:00",
                    }
                    for number, seen in enumerate(part)
                ],
            )
            state = {"state": EmbeddingState.READY.value, "recipe": library.decode_settings.fingerprint}
            rows = [{"asset_id": key, "content_hash": "", "error": None, **state} for key in keys]
            assets.set_embeddings(connection, space, rows)
        words.catch_up(connection)


def rerun(folder: Path, files: int) -> dict[str, Any]:
    """A second run over an unchanged library, next to a bare walk of the same folders."""
    install(0.0)
    media = make_texts(folder / "media", files)
    with open_library(folder / "library") as library:
        fill_catalog(library, media)
        walks, runs = [], []
        for _ in range(5):
            walks.append(timed(lambda: bare_walk(media)))
            runs.append(timed(lambda: check_same(library.index(media), files)))
    (walk_s, walk_cpu_s), (run_s, run_cpu_s) = np.median(walks, axis=0), np.median(runs, axis=0)
    return {
        "files": files,
        "bare_walk_s": round(walk_s, 3),
        "bare_walk_cpu_s": round(walk_cpu_s, 3),
        "second_run_s": round(run_s, 3),
        "second_run_cpu_s": round(run_cpu_s, 3),
        "ratio_to_bare_walk": round(run_s / walk_s, 2),
        "cpu_ratio_to_bare_walk": round(run_cpu_s / walk_cpu_s, 2),
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that some work takes: by the clock, and of the processor."""
    clock_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock_s, time.process_time() - cpu_s


def check_same(report: Any, files: int) -> None:
    assert report.same == files, report.counts()


def throughput(folder: Path, kind: str, count: int, cost_s: float) -> dict[str, Any]:
    """A first run, next to the encoder alone on the same samples, decoded before."""
    from searchkit.media import DecodeSettings, open_media

    encoder = install(cost_s)
    media = folder / kind
    if kind == "mixed":
        make_photos(media / "photos", count // 2)
        make_sounds(media / "sounds", count - count // 2)
    else:
        {"photos": make_photos, "sounds": make_sounds}[kind](media, count)
    paths = sorted(path for path in media.rglob("*") if path.is_file())
    started = time.perf_counter()
    samples = [s for path in paths[:16] for s in open_media(path, DecodeSettings()).samples]
    decode_s = (time.perf_counter() - started) / len(paths[:16])
    started = time.perf_counter()
    for start in range(0, count, 16):
        encoder.encode([samples[n % len(samples)] for n in range(start, min(count, start + 16))])
    alone_s = time.perf_counter() - started
    ratios = {}
    for decoder in ("processes", "threads"):
        os.environ["SEARCHKIT_DECODER"] = decoder
        with open_library(folder / f"library-{kind}-{decoder}") as library:
            started = time.perf_counter()
            report = library.index(media)
            ratios[decoder] = alone_s / (time.perf_counter() - started)
            assert report.new == count, report.counts()
    return {
        "kind": kind,
        "files": count,
        "encoder_ms_per_sample": round(1000 * alone_s / count, 2),
        "decode_ms_per_file_one_core": round(1000 * decode_s, 2),
        "throughput_to_encoder_alone": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }


def rclip_throughput(folder: Path, where: Path, count: int, cost_s: float) -> dict[str, Any]:
    """The pipeline of rclip on the photos that ``throughput`` has made, next to the same encoder alone."""
    from importlib.metadata import distributions

    sys.path.append(str(where))
    from rclip.db import DB  # type: ignore[import-not-found]
    from rclip.main import RClip  # type: ignore[import-not-found]
    from rclip.model import Model  # type: ignore[import-not-found]

    embedded: list[Any] = []

    class FixedModel(Model):  # type: ignore[misc]
        def compute_preprocessed_image_features(self, images: Any, for_indexing: bool = False) -> FloatArray:
            embedded.extend(images)
            time.sleep(cost_s * len(images))
            return np.ones((len(images), self.VECTOR_SIZE), np.float32) / np.sqrt(self.VECTOR_SIZE)

    started = time.perf_counter()
    for _ in range(count):
        time.sleep(cost_s)
    alone_s = time.perf_counter() - started
    database = DB(folder / "rclip.sqlite3")
    indexer = RClip(FixedModel(), database, 8, None)
    started = time.perf_counter()
    indexer.ensure_index(str(folder / "photos"))
    ratio = alone_s / (time.perf_counter() - started)
    indexer.close()
    database.close()
    assert len(embedded) == count, len(embedded)
    version = next(found.version for found in distributions(path=[str(where)]) if found.name == "rclip")
    return {"version": version, "throughput_to_encoder_alone": round(ratio, 3)}


def peak_mb(folder: Path, files: int) -> float:
    """Peak private memory of a process that indexes so many texts."""
    command = [sys.executable, __file__, "--peak-of", str(files), "--in", str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_of(folder: Path, files: int) -> float:
    """The most that this process has of its own while it indexes; pages of files do not count (Linux)."""
    install(0.0)
    media = make_texts(folder / f"media{files}", files)
    peak, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text()
            peak[0] = max(peak[0], int(status.partition("RssAnon:")[2].split()[0]) / 1024)

    looking = threading.Thread(target=look)
    looking.start()
    with open_library(folder / f"library{files}") as library:
        report = library.index(media)
    done.set()
    looking.join()
    assert report.new == files, report.counts()
    return peak[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--files", type=int, default=100_000, help="files of the second run")
    parser.add_argument("--samples", type=int, default=200, help="files of the throughput runs")
    parser.add_argument("--cost-ms", type=float, default=100.0, help="what the encoder takes for a sample")
    parser.add_argument("--only", choices=["rerun", "throughput", "memory"], help="one part")
    parser.add_argument("--rclip", type=Path, help="where rclip is installed")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="place", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print(peak_of(options.place, options.peak_of))
        return
    figures: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    folder = Path(tempfile.mkdtemp(prefix="searchkit-index-"))
    try:
        if options.only in (None, "rerun"):
            figures["second_run"] = rerun(folder / "rerun", options.files)
        if options.only in (None, "throughput"):
            figures["throughput"] = [
                throughput(folder, kind, options.samples, options.cost_ms / 1000)
                for kind in ("photos", "sounds", "mixed")
            ]
            if options.rclip:
                cost_s = options.cost_ms / 1000
                figures["rclip"] = rclip_throughput(folder, options.rclip, options.samples, cost_s)
        if options.only in (None, "memory"):
            counts = sorted({*(n for n in (1000, 10_000, 30_000) if n < options.files), options.files})
            figures["peak_private_memory_mb"] = {str(n): round(peak_mb(folder, n), 1) for n in counts}
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

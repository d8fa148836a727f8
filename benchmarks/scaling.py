"""Plans a large collection from what this machine measures: core hours, bytes and money for each stage.

    python benchmarks/scaling.py --json scaling.json --catalog postgresql://USER@HOST/DATABASE

Measured are processor seconds (of this process, so that other work on the machine matters little) for the
walk, a second run, decoding, the built-in encoder, and all that a first run does besides; bytes in the
catalog; and by the clock, which a busy machine makes worse, recording. The catalog should be an empty
PostgreSQL database; without one the bytes are SQLite's. What cannot be measured here is an option: how fast
an accelerator encodes, and what things cost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from index import fill_catalog, install, make_photos, make_texts, open_library

DIM = 1536


def processor_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure_walk(folder: Path, files: int) -> dict[str, float]:
    """Walking, and a run in which nothing changed, which is a walk beside a pass over the catalog."""
    from searchkit.indexer.scan import walk

    install(0.0)
    media = make_texts(folder / "walked", files)
    with open_library(folder / "walked-library") as library:
        fill_catalog(library, media)
        library.index(media)  # makes words of names, once
        walked_s = processor_s(lambda: sum(1 for _ in walk(str(media))))
        run_s = processor_s(lambda: library.index(media))
    return {"walk_us": 1e6 * walked_s / files, "unchanged_us": 1e6 * run_s / files}


def measure_photos(folder: Path, count: int) -> dict[str, float]:
    """Decoding twelve megapixels for an encoder, and the built-in encoder, on one core."""
    from searchkit.encoders.mini import load
    from searchkit.media import DecodeSettings, open_media

    paths = sorted(make_photos(folder / "photos", count).iterdir())
    size_bytes = sum(path.stat().st_size for path in paths) / count
    samples: list[Any] = []
    decode_s = processor_s(
        lambda: samples.extend(s for path in paths for s in open_media(path, DecodeSettings()).samples)
    )
    encoder = load(threads=1)
    encoder.encode(samples[:1])
    encode_s = processor_s(lambda: encoder.encode(samples))
    encoder.close()
    return {
        "photo_bytes": size_bytes,
        "decode_ms": 1000 * decode_s / count,
        "mini_encode_ms": 1000 * encode_s / count,
    }


def measure_record(folder: Path, files: int, catalog: str) -> dict[str, float]:
    """A first run over files that cost nothing to decode and encode, and what a file takes in the catalog."""
    import searchkit

    install(0.0)
    media = make_texts(folder / "recorded", files)
    place = {"catalog": catalog} if catalog else {}
    with searchkit.open_library(folder / "recorded-library", model="fixed-cost", **place) as library:
        before = catalog_bytes(library)
        started_s = time.process_time()
        report = library.index(media)
        spent_s = time.process_time() - started_s
        assert report.new == files, report.counts()
        used = catalog_bytes(library) - before
    return {
        "rest_ms": 1000 * spent_s / files,
        "record_ms": 1000 * report.stages.seconds["record"] / files,
        "catalog_bytes": used / files,
    }


def catalog_bytes(library: Any) -> int:
    with library.catalog.read() as connection:
        if library.catalog.is_shared:
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())


def plan(measured: dict[str, float], options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each stage: what it takes for all files, and what that costs."""
    files = options.plan_files
    read_tb = files * measured["photo_bytes"] / 1e12
    decode_h = files * measured["decode_ms"] / 3.6e6
    encode_h = files * options.encode_ms / 3.6e6
    days_h = encode_h / options.accelerators
    vectors_gb = files * (2 * DIM + DIM) / 1e9
    catalog_gb = files * measured["catalog_bytes"] / 1e9
    keep_gb = vectors_gb + catalog_gb
    return [
        {
            "stage": "walk and plan",
            "core_hours": files * measured["unchanged_us"] / 3.6e9,
            "usd": files * measured["unchanged_us"] / 3.6e9 * options.core_hour_usd,
        },
        {"stage": "read", "terabytes": read_tb, "gigabytes_a_second": 1000 * read_tb / (3600 * days_h)},
        {
            "stage": "decode",
            "core_hours": decode_h,
            "cores": decode_h / days_h,
            "usd": decode_h * options.core_hour_usd,
        },
        {
            "stage": f"encode on {options.accelerators} accelerators",
            "accelerator_hours": encode_h,
            "hours": days_h,
            "usd": encode_h * options.accelerator_hour_usd,
        },
        {
            "stage": "encode with mini instead",
            "core_hours": files * measured["mini_encode_ms"] / 3.6e6,
            "usd": files * measured["mini_encode_ms"] / 3.6e6 * options.core_hour_usd,
        },
        {
            "stage": "claim, hash, record",
            "core_hours": files * measured["rest_ms"] / 3.6e6,
            "worker_hours_recording": files * measured["record_ms"] / 3.6e6,
            "share_of_encoding": measured["record_ms"] / options.encode_ms,
        },
        {
            "stage": "keep",
            "vectors_gigabytes": vectors_gb,
            "catalog_gigabytes": catalog_gb,
            "usd_a_month": keep_gb * options.gigabyte_month_usd,
        },
        {"stage": "second run, nothing changed", "core_hours": files * measured["unchanged_us"] / 3.6e9},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plan-files", type=int, default=100_000_000, help="photos to plan for")
    parser.add_argument("--files", type=int, default=5000, help="files that are measured")
    parser.add_argument("--photos", type=int, default=16, help="photos that are measured")
    parser.add_argument("--catalog", default="", help="an empty PostgreSQL database")
    parser.add_argument("--accelerators", type=int, default=8)
    parser.add_argument("--encode-ms", type=float, default=4.0, help="a photo on one accelerator (assumed)")
    parser.add_argument("--accelerator-hour-usd", type=float, default=2.0)
    parser.add_argument("--core-hour-usd", type=float, default=0.04)
    parser.add_argument("--gigabyte-month-usd", type=float, default=0.1)
    options = parser.parse_args()
    os.environ["SEARCHKIT_DECODER"] = "threads"
    folder = Path(tempfile.mkdtemp(prefix="searchkit-scaling-"))
    try:
        measured = {
            **measure_walk(folder, options.files),
            **measure_photos(folder, options.photos),
            **measure_record(folder, options.files, options.catalog),
        }
    finally:
        shutil.rmtree(folder)
    figures = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "catalog": "postgresql" if options.catalog else "sqlite",
        "measured": {name: round(value, 3) for name, value in measured.items()},
        "plan_files": options.plan_files,
        "plan": [
            {name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()}
            for row in plan(measured, options)
        ],
    }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

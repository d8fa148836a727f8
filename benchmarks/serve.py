"""Measure `searchkit serve` against a bare FastAPI + FAISS server, on one library and with one encoder.

    python benchmarks/serve.py                                100,000 segments, 1 and 50 clients
    python benchmarks/serve.py --segments 20000 --json FILE

Both servers embed each query with the built-in encoder and search the same vectors. The bare one keeps them
in an IndexFlatIP and returns ids and scores; searchkit joins the catalog, calibrates, batches and guards. The
load generator is wrk (Debian's package of that name); every request asks for other words, so that nothing
comes from a cache. Times are milliseconds a request, the median of several rounds; ``cpu`` is what the
server's process spent on a request, which other work on the machine changes less than the times.

The last rows are one client while `searchkit index` takes new pictures into the library.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from searchkit.catalog import assets, segments, spaces
from searchkit.catalog.segments import NewSegment
from searchkit.library import Library, open_library
from searchkit.types import FloatArray, Modality

WORDS = (
    "dog cat bird horse train ship bell rain snow sea beach forest mountain city night morning child old "
    "red blue green small large loud quiet running sleeping broken wooden stone river bridge market garden"
)

LUA = """
local words = {%s}
math.randomseed(%d)
function request()
  local q = {}
  for i = 1, 4 do q[i] = words[math.random(#words)] end
  return wrk.format("GET", "%s" .. table.concat(q, "+") .. "+" .. math.random(1000000))
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"p50": %%.3f, "p95": %%.3f, "p99": %%.3f, "requests": %%d, "seconds": %%.3f, "errors": %%d}\\n',
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000,
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
"""

BARE = """
import sys
import faiss
import numpy as np
import uvicorn
from fastapi import FastAPI
from searchkit.encoders import open_encoder
from searchkit.types import TextSample

vectors, ids = np.load(sys.argv[1]), np.load(sys.argv[2])
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors)
encoder = open_encoder("mini")
app = FastAPI()

@app.get("/search")
def search(q: str, k: int = 10) -> list[dict[str, float]]:
    scores, rows = index.search(encoder.encode([TextSample(q)]), k)
    return [{"id": int(ids[row]), "score": float(score)} for row, score in zip(rows[0], scores[0])]

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="error")
"""


def clustered(rows: int, dim: int, seed: int = 0) -> FloatArray:
    """Unit vectors (rows, dim) around some hundred centres, as embeddings lie."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(300, dim)).astype(np.float32)
    made = centres[generator.integers(0, 300, rows)]
    made += 0.9 * generator.normal(size=(rows, dim)).astype(np.float32)
    unit: FloatArray = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def fill(library: Library, rows: int) -> tuple[FloatArray, list[int]]:
    """Put pictures that do not exist into a library: catalog rows and vectors."""
    space = library.space
    vectors = clustered(rows, space.dim)
    with library.catalog.write() as connection:
        space_id = spaces.ensure_space(connection, space)
        collection = spaces.ensure_collection(connection, space_id, space, Modality.IMAGE, Modality.IMAGE)
        root_id = assets.ensure_root(connection, "/nowhere")
        asset_ids = assets.insert_assets(
            connection,
            [
                {
                    "root_id": root_id,
                    "path": f"/nowhere/{number:06d}.jpg",
                    "modality": "image",
                    "mime": "image/jpeg",
                    "size_bytes": 1000,
                    "mtime_ns": 0,
                    "content_hash": f"{number:032x}",
                    "date": "2020-01-01T00:00:00",
                    "facts": {},
                }
                for number in range(rows)
            ],
        )
        ids = segments.insert_pending(
            connection, [NewSegment(asset_id, collection.id, 0, None, None, None) for asset_id in asset_ids]
        )
    store = library.open_store(collection, space.dim, read_only=False)
    for start in range(0, rows, 10_000):
        store.upsert(ids[start : start + 10_000], vectors[start : start + 10_000])
    store.flush()
    store.close()
    with library.catalog.write() as connection:
        segments.mark_assets_ready(connection, asset_ids, space_id)
    return vectors, ids


def wait_until_ready(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def load(port: int, path: str, clients: int, seconds: int, seed: int, folder: Path) -> dict[str, Any]:
    """One round of wrk."""
    script = folder / "load.lua"
    script.write_text(LUA % (", ".join(f'"{word}"' for word in WORDS.split()), seed, path))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    said: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return {**said, "per_second": said["requests"] / said["seconds"]}


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(*commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes, until the block ends."""
    started = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def write_pictures(folder: Path, count: int) -> None:
    """Pictures for a run that goes on for a while: noise, so that none is like another."""
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(count):
        pixels = generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(folder / f"{number:05d}.jpg")


def measure(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    library, bare_name = str(folder / "library"), "bare FastAPI + FAISS"
    with open_library(folder / "library") as opened:
        vectors, ids = fill(opened, arguments.segments)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "ids.npy", np.array(ids))
    write_pictures(folder / "new", arguments.new_pictures)
    searchkit = [sys.executable, "-m", "searchkit"]
    serve = [*searchkit, "serve", "--library", library, "--port", "8791"]
    bare = [sys.executable, "-c", BARE, str(folder / "vectors.npy"), str(folder / "ids.npy"), "8792"]
    index = [*searchkit, "index", "--library", library, str(folder / "new")]
    with running(serve, bare) as servers:
        pids = [server.pid for server in servers]
        targets = {
            "searchkit": (8791, "/v1/search?k=10&q=", pids[0]),
            bare_name: (8792, "/search?k=10&q=", pids[1]),
        }
        wait_until_ready("http://127.0.0.1:8791/readyz")
        wait_until_ready("http://127.0.0.1:8792/search?q=warm")
        rows = [row for clients in arguments.clients for row in compare(targets, clients, arguments, folder)]
        with running(index) as (run,):
            time.sleep(3)
            for row in compare(targets, 1, arguments, folder):
                rows.append({**row, "server": f"{row['server']}, indexing"})
            if run.poll() is not None:
                print(
                    "the index run ended before the last rows were measured: --new-pictures", file=sys.stderr
                )
    return rows


def compare(
    targets: dict[str, tuple[int, str, int]], clients: int, arguments: argparse.Namespace, folder: Path
) -> list[dict[str, Any]]:
    """Rounds of each server in turns, so that what else the machine does falls on both; their medians."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in targets}
    for number in range(arguments.rounds):
        for name, (port, path, pid) in targets.items():
            before_s = cpu_s(pid)
            told = load(port, path, clients, arguments.seconds, number, folder)
            told["cpu"] = 1000 * (cpu_s(pid) - before_s) / max(1, told["requests"])
            rounds[name].append(told)
    return [
        {
            "server": name,
            "clients": clients,
            **{
                key: round(statistics.median(one[key] for one in told), 2)
                for key in ("p50", "p95", "p99", "per_second", "cpu")
            },
            "errors": sum(one["errors"] for one in told),
        }
        for name, told in rounds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segments", type=int, default=100_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new-pictures", type=int, default=1500, help="What is indexed meanwhile.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments, Path(folder))
    print(
        f"{'server':30} {'clients':>7} {'p50':>8} {'p95':>8} {'p99':>8} {'req/s':>8} {'cpu':>7} {'errors':>7}"
    )
    for row in rows:
        print(
            f"{row['server']:30} {row['clients']:7} {row['p50']:8.1f} {row['p95']:8.1f} {row['p99']:8.1f} "
            f"{row['per_second']:8.1f} {row['cpu']:7.1f} {row['errors']:7}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"segments": arguments.segments, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Compares the default store with plain FAISS indexes and with the memory's bandwidth, in one run.

    python benchmarks/search.py --rows 20000,100000 --json search.json --plots docs/images

Each engine lives in a process of its own. Single queries run on one thread, in turns between the engines, so
that what else the machine does falls on all of them alike; batches run on all cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent))

from process_memory import memory_bytes
from search_engines import ENGINES, open_engine
from vectors import make_queries, write_rows

K = 10
SHARES = (0.01, 0.1, 0.5)
_SPAWN = multiprocessing.get_context("spawn")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="20000,100000", help="collection sizes, separated by commas")
    parser.add_argument("--dim", type=int, default=1536)
    parser.add_argument("--queries", type=int, default=200, help="queries of each kind")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--folder", type=Path, help="where to work; kept, and what is there is used again")
    parser.add_argument("--build-only", action="store_true", help="with --folder: measure another time")
    parser.add_argument("--json", type=Path, help="write a list of objects, one for each engine and size")
    parser.add_argument("--plots", type=Path, help="folder for PNG plots (needs matplotlib)")
    options = parser.parse_args(arguments)
    results = []
    for rows in sorted(int(size) for size in options.rows.split(",")):
        place = Path(options.folder or tempfile.mkdtemp()) / f"{rows}x{options.dim}"
        if options.build_only:
            build(place, rows, options)
            continue
        results += measure(place, rows, options)
        if not options.folder:
            shutil.rmtree(place.parent)
    if options.build_only:
        return
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    if options.plots:
        from search_plots import draw

        draw(results, options.plots)


def build(folder: Path, count: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Make what the engines search, where it is not there yet; seconds each took."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.f32"
    if not path.exists():
        partial = path.with_suffix(".tmp")
        write_rows(partial, count, options.dim)
        partial.rename(path)
    took = {}
    for name in options.engines.split(","):
        worker = Worker(name, folder, options.dim)
        took[name] = worker.ask("build", path, count)
        worker.close()
    return took


def measure(folder: Path, count: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All engines at one size."""
    built = build(folder, count, options)
    path = folder / "rows.f32"
    rows = np.memmap(path, np.float32, "r", shape=(count, options.dim))
    own, other = make_queries(options.queries, options.dim)
    queries = np.concatenate([own, other])
    truth = exact(rows, queries)
    workers = {name: Worker(name, folder, options.dim) for name in options.engines.split(",")}
    results = {name: {"engine": name, "rows": count, "dim": options.dim} for name in workers}
    for name, worker in workers.items():
        results[name] |= built[name]
        results[name] |= worker.ask("open", one_thread=True)
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in workers}
    found: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in workers}
    for start in range(0, len(queries), 20):
        for name, worker in workers.items():
            took_ms, ids = worker.ask("single", queries[start : start + 20])
            times[name] += took_ms
            found[name].append(ids)
    for name, worker in workers.items():
        result = results[name]
        if name != "floor":
            recalls = recall(np.concatenate(found[name]), truth)
            result["recall_in"] = float(recalls[: len(own)].mean())
            result["recall_x"] = float(recalls[len(own) :].mean())
            result["filters"] = [filtered(worker, rows, queries[::8], share) for share in SHARES]
        clock_ms, cpu_ms = np.array(times[name]).T
        result["p50_ms"], result["p99_ms"] = (float(np.percentile(clock_ms, each)) for each in (50, 99))
        # what the clock would show if nothing else ran
        result["p50_cpu_ms"] = float(np.median(cpu_ms))
        result |= worker.ask("memory")
        result |= worker.ask("add", count, make_queries(1000, options.dim, seed=0)[0])
        worker.close()
    for name in workers:
        worker = Worker(name, folder, options.dim)
        worker.ask("open")
        results[name] |= worker.ask("batch", queries)
        worker.close()
    return list(results.values())


def exact(rows: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """True ids (Q, K) by float32 products."""
    scores = np.concatenate(
        [rows[start : start + 20_000] @ queries.T for start in range(0, len(rows), 20_000)]
    )
    return np.argsort(-scores, axis=0, kind="stable")[:K].T


def recall(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of the true ids found, for each query."""
    return np.array(
        [len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
    )


def filtered(worker: Worker, rows: Any, queries: npt.NDArray[np.float32], share: float) -> dict[str, float]:
    """Recall and time when only a share of the rows is allowed."""
    random = np.random.default_rng(7)
    allowed = np.sort(random.choice(len(rows), int(share * len(rows)), replace=False)).astype(np.int64)
    truth = allowed[exact(rows[allowed], queries)]
    took_ms, ids = worker.ask("single", queries, allowed)
    return {
        "share": share,
        "recall": float(recall(ids, truth).mean()),
        "p50_ms": float(np.median(np.array(took_ms)[:, 0])),
    }


class Worker:
    """A process with one engine; it starts anew whenever the number of threads changes."""

    def __init__(self, name: str, folder: Path, dim: int) -> None:
        self._arguments = (name, folder, dim)
        self._pipe: Connection | None = None

    def ask(self, verb: str, *values: Any, one_thread: bool = False) -> Any:
        """Have it do something, and wait for the answer."""
        if verb in ("build", "open") or self._pipe is None:
            self.close()
            self._start(one_thread)
        assert self._pipe is not None
        self._pipe.send((verb, values))
        return self._pipe.recv()

    def close(self) -> None:
        """End the process."""
        if self._pipe is not None:
            self._pipe.close()
            self._child.join()
            self._pipe = None

    def _start(self, one_thread: bool) -> None:
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[variable] = "1" if one_thread else str(os.cpu_count())
        self._pipe, theirs = _SPAWN.Pipe()
        self._child = _SPAWN.Process(target=serve, args=(*self._arguments, theirs), daemon=True)
        self._child.start()
        theirs.close()


def serve(name: str, folder: Path, dim: int, pipe: Connection) -> None:
    """What a worker does: answers until the pipe is closed."""
    import faiss

    assert faiss
    engine = open_engine(name, folder, dim)
    baseline_mb = memory_bytes()["anonymous"] / 2**20
    while True:
        try:
            verb, values = pipe.recv()
        except EOFError:
            return
        begin_s = time.perf_counter()
        if verb == "build":
            built = folder / f"{name}.build.json"
            if not built.exists():
                path, count = values
                begin_cpu_s = time.process_time()
                engine.build(np.memmap(path, np.float32, "r", shape=(count, dim)))
                took_s = {"build_s": time.perf_counter() - begin_s}
                took_s["build_cpu_s"] = time.process_time() - begin_cpu_s
                built.write_text(json.dumps(took_s))
            pipe.send(json.loads(built.read_text()))
        elif verb == "open":
            engine.open()
            pipe.send({"open_ms": 1e3 * (time.perf_counter() - begin_s)})
        elif verb == "single":
            pipe.send(single(engine, *values))
        elif verb == "batch":
            engine.search(values[0][:4], K)
            begin_s = time.perf_counter()
            engine.search(values[0], K)
            pipe.send({"qps": len(values[0]) / (time.perf_counter() - begin_s) * getattr(engine, "share", 1)})
        elif verb == "memory":
            pipe.send({"private_mb": memory_bytes()["anonymous"] / 2**20 - baseline_mb})
        elif verb == "add":
            pipe.send({"add_1000_s": engine.add(*values)})


def single(engine: Any, queries: Any, among: Any = None) -> tuple[list[tuple[float, ...]], Any]:
    """Milliseconds (on the clock, and of the processor) and ids for queries one by one."""
    took_ms, found = [], []
    for query in queries:
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        found.append(engine.search(query[None], K, among))
        took_s = (time.perf_counter() - begin_s, time.process_time() - begin_cpu_s)
        took_ms.append(tuple(1e3 * each / getattr(engine, "share", 1) for each in took_s))
    return took_ms, np.concatenate(found)


def table(results: list[dict[str, Any]]) -> str:
    """The results for people."""
    names = ("engine", "rows", "recall_in", "recall_x", "p50_ms", "p99_ms", "p50_cpu_ms", "qps")
    names += ("private_mb", "open_ms", "build_s", "build_cpu_s", "add_1000_s")
    lines = ["  ".join(f"{name:>10}" for name in names)]
    for result in results:
        values = [result.get(name) for name in names]
        shown = [
            f"{value:.4g}" if isinstance(value, float) else str("-" if value is None else value)
            for value in values
        ]
        lines.append("  ".join(f"{value:>10}" for value in shown))
        lines += [
            f"{'':>12}{each['share']:.0%} allowed: recall {each['recall']:.4f}, p50 {each['p50_ms']:.2f} ms"
            for each in result.get("filters", [])
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Measures the default store where it is large: scan against graph, over one segment, in one run.

    OMP_NUM_THREADS=1 python benchmarks/graph.py --rows 1000000,2000000 --graph 1000000 --json graph.json

Each size is one merged segment. Queries run one by one on one thread, in turns between the scan of codes and
the graph at each width, so that what else the machine does falls on all of them alike. A graph over a million
rows takes 17 minutes of one core; sizes above ``--graph`` are only scanned.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent))

from vectors import make_blocks, make_queries

from searchkit.stores.faiss import FaissStore, Tuning, graph
from searchkit.stores.faiss.scan import scan_rows

K = 10
NEVER = 1 << 60


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="200000", help="segment sizes, separated by commas")
    parser.add_argument("--graph", type=int, default=NEVER, help="build graphs up to this size")
    parser.add_argument("--dim", type=int, default=896)
    parser.add_argument("--widths", default="256,512,1024", help="how wide a graph is searched")
    parser.add_argument("--queries", type=int, default=100, help="queries of each kind")
    parser.add_argument("--folder", type=Path, help="where to work; kept, and what is there is used again")
    parser.add_argument("--json", type=Path, help="write a list of objects, one for each size and way")
    options = parser.parse_args(arguments)
    faiss.omp_set_num_threads(1)
    folder = options.folder or Path(tempfile.mkdtemp())
    results: list[dict[str, Any]] = []
    for rows in sorted(int(size) for size in options.rows.split(",")):
        place = folder / f"{rows}x{options.dim}"
        built_s = build(place, rows, options)
        results += measure(place, rows, built_s, options)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    if not options.folder:
        shutil.rmtree(folder)


def build(place: Path, rows: int, options: argparse.Namespace) -> dict[str, float]:
    """One segment of so many rows with its codes and, where wanted, its graph; seconds each took."""
    noted = place / "built.json"
    took_s: dict[str, float] = json.loads(noted.read_text()) if noted.exists() else {}
    steps = {"scan": Tuning(tier=NEVER, graph=NEVER)}
    if rows <= options.graph:
        steps["graph"] = Tuning(tier=NEVER, graph=1)
    for step, tuning in steps.items():
        if step in took_s:
            continue
        place.mkdir(parents=True, exist_ok=True)
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        store = FaissStore(place / "c", options.dim, tuning=tuning)
        for start, block in make_blocks(rows, options.dim) if step == "scan" else ():
            store.upsert(np.arange(start, start + len(block)), block)
        store.compact()
        store.close()
        took_s[step] = time.perf_counter() - begin_s
        took_s[f"{step}_cpu"] = time.process_time() - begin_cpu_s
        noted.write_text(json.dumps(took_s))
        say(f"{rows} rows, {step} built in {took_s[step]:.0f} s ({took_s[f'{step}_cpu']:.0f} s of processor)")
    return took_s


def measure(
    place: Path, rows: int, built_s: dict[str, float], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Time and recall of each way to search."""
    queries = np.concatenate(make_queries(options.queries, options.dim))
    scan = FaissStore(place / "c", options.dim, read_only=True, tuning=Tuning(graph_share=2.0))
    truth = exact(scan, queries)
    ways: dict[str, tuple[FaissStore, int]] = {"scan": (scan, 0)}
    if "graph" in built_s:
        walked = FaissStore(place / "c", options.dim, read_only=True)
        ways |= {f"graph {width}": (walked, int(width)) for width in options.widths.split(",")}
    for store, width in ways.values():
        with searched_at(width):
            store.search(queries[:1], K)
    found: dict[str, list[list[int]]] = {name: [] for name in ways}
    times_ms: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for query in queries:
        for name, (store, width) in ways.items():
            with searched_at(width):
                begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
                hits = store.search(query[None], K)[0]
                took_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
            found[name].append([hit.id for hit in hits])
            times_ms[name].append((1e3 * took_s[0], 1e3 * took_s[1]))
    results = []
    for name in ways:
        recalls = np.array([len(set(a) & set(b)) / K for a, b in zip(found[name], truth, strict=True)])
        clock_ms, cpu_ms = np.array(times_ms[name]).T
        results.append(
            {
                "way": name,
                "rows": rows,
                "dim": options.dim,
                "recall_in": float(recalls[: options.queries].mean()),
                "recall_x": float(recalls[options.queries :].mean()),
                "p50_ms": float(np.median(clock_ms)),
                "p99_ms": float(np.percentile(clock_ms, 99)),
                "p50_cpu_ms": float(np.median(cpu_ms)),
                "build_s": built_s[name.split()[0]],
                "build_cpu_s": built_s[f"{name.split()[0]}_cpu"],
            }
        )
        say("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in results[-1].items()))
    return results


def exact(store: FaissStore, queries: npt.NDArray[np.float32]) -> list[list[int]]:
    """The true K best ids of each query, every row scored."""
    (part,) = store._snapshot().segments
    answers = []
    for start in range(0, len(queries), 50):
        for found in scan_rows(part, queries[start : start + 50], K, None):
            best = np.argsort(-found.scores, kind="stable")[:K]
            answers.append([int(part.ids[position]) for position in found.positions[best]])
    return answers


@contextmanager
def searched_at(width: int) -> Iterator[None]:
    """Graphs are searched that wide meanwhile."""
    before, graph._SEARCH_WIDTH = graph._SEARCH_WIDTH, width
    try:
        yield
    finally:
        graph._SEARCH_WIDTH = before


def say(text: str) -> None:
    """A line at once, also into a file."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

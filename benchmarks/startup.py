"""How long a cold text query takes, against importing torch and against a bare Python: ratios, run in turn.

    python benchmarks/startup.py [--runs 7] [--json FILE]

Makes a small library first. Prints the median of each and the median of the ratios, pair by pair.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "query": ["-m", "searchkit", "query", "dog"],
    "version": ["-m", "searchkit", "--version"],
    "help": ["-m", "searchkit", "--help"],
    "python": ["-c", "pass"],
    "torch": ["-c", "import torch"],
}


def seconds(arguments: list[str], library: Path) -> float:
    command = [sys.executable, *arguments]
    if "query" in arguments:
        command += ["--library", str(library)]
    started = time.perf_counter()
    subprocess.run(command, check=False, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import searchkit as sk

    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts"
        texts.mkdir()
        for number in range(20):
            (texts / f"{number}.txt").write_text(f"Note {number} about dogs, trains and bells.")
        library = Path(folder) / "library"
        with sk.open_library(library) as opened:
            opened.index(texts)
        times: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for arguments in COMMANDS.values():  # once each to warm the disk's cache
            seconds(arguments, library)
        for _ in range(options.runs):
            for name, arguments in COMMANDS.items():
                times[name].append(seconds(arguments, library))
    figures = []
    for name, measured in times.items():
        ratio = statistics.median(a / b for a, b in zip(measured, times["torch"], strict=True))
        figures.append({"command": name, "median_s": statistics.median(measured), "of_torch_import": ratio})
        print(f"{name:8} {statistics.median(measured):6.3f} s   {ratio:5.2f} of importing torch")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

"""Measure how much the built-in model's figures depend on chance: the same model with heads of several seeds.

    python tools/spread_mini.py --media DIR [--seeds 5] [--cache DIR] [--json FILE]

Needs what `tools/build_mini.py` needs. Each model is measured on the sources that its settings were chosen on
(`tools/mini/selection.jsonl`: sounds and pictures that no part of it was trained on, captioned after their
file names); DIR holds their Debian packages, each unpacked into a folder of its name.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from build_mini import convert_towers, fit, on_one_thread, run_towers

from searchkit.encoders.mini import load

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "benchmarks"))

from quality import Row, evaluate, read_set  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--media", type=Path, required=True, help="folder of the unpacked packages")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "searchkit-mini")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    on_one_thread()
    assets = read_set(HERE / "mini" / "selection.jsonl")
    measured: dict[tuple[str, str], list[Row]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch)
        convert_towers(args.cache, model)
        inputs = run_towers(args.cache, model)
        for seed in range(args.seeds):
            fit(args.cache, model, inputs, seed=seed)
            for row in evaluate(load(model), assets, args.media):
                measured.setdefault((row.task, row.metric), []).append(row)
    figures = []
    for (task, metric), rows in measured.items():
        values = np.array([row.value for row in rows])
        size = f"{rows[0].queries} x {rows[0].targets}"
        spread = float(values.std(ddof=1))
        print(f"{task:42} {size:>10} {metric:7} {values.mean():7.3f} +- {spread:.3f}  {values.round(3)}")
        figures.append({"task": task, "metric": metric, "values": values.tolist(), "deviation": spread})
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

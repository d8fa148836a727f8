"""Measure the memory that ONE-PEACE's branches take, and that converting a checkpoint takes.

The models have the published widths (1536, 6144 in the feed-forward networks, 24 heads) and few layers, with
random weights. Each figure comes from a process of its own. What follows for the published 40 layers comes
from the difference of two models.

Usage: python benchmarks/memory_one_peace.py [--layers 1 3] [--folder DIR] [--json FILE]

Needs 4 GB on disk. Columns are megabytes of 1e6
bytes: what a branch adds to the resident memory, and how much of that is mapped from the file, which the
system takes back when others need it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from process_memory import memory_bytes

PRECISIONS = ("float32", "bfloat16", "int8")
BRANCHES = ("text", "image", "audio")


def write_checkpoint(path: Path, layers: int) -> None:
    """A checkpoint file with the published widths, as the original's trainer lays it out."""
    import torch

    from searchkit.one_peace.build import build_model
    from searchkit.one_peace.config import ModelConfig
    from searchkit.one_peace.published import published_settings

    settings = published_settings(layers=layers)
    model = build_model(ModelConfig.from_config(settings))
    torch.save({"args": None, "cfg": settings, "model": model.state_dict()}, path)


def parameters(layers: int) -> dict[str, int]:
    """How many parameters a pass of each modality needs: its branch, the shared part and the heads."""
    from searchkit.one_peace.branches import branch_of
    from searchkit.one_peace.build import build_model
    from searchkit.one_peace.config import ModelConfig
    from searchkit.one_peace.published import published_settings

    counts: dict[str, int] = {}
    model = build_model(ModelConfig.from_config(published_settings(layers=layers)), device="meta")
    for name, parameter in model.named_parameters():
        branch = branch_of(name, BRANCHES)
        counts[branch] = counts.get(branch, 0) + parameter.numel()
    return counts


def memory_mb() -> dict[str, float]:
    """Resident memory of this process: all of it, and the part that is mapped from files."""
    held = memory_bytes()
    return {"resident": held["resident"] / 1e6, "mapped": (held["resident"] - held["anonymous"]) / 1e6}


def measure_conversion(source: Path, folder: Path, dtype: str | None) -> dict[str, float]:
    """Peak memory of a conversion, with and without the interpreter, in MB."""
    import resource

    from searchkit.one_peace.convert import convert_checkpoint

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    convert_checkpoint(source, folder, dtype=dtype)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest = max(path.stat().st_size for path in folder.glob("*.safetensors"))
    scale = 1024 / 1e6
    return {
        "peak": peak * scale,
        "above_start": (peak - before) * scale,
        "largest_branch": largest / 1e6,
        "share_of_largest_branch": peak * 1024 / largest,
    }


def measure_branches(folder: Path, precision: str, packed: bool) -> dict[str, dict[str, float]]:
    """Memory after each branch was loaded and used, and after it was dropped."""
    import numpy as np
    import torch

    from searchkit.encoders.one_peace import load
    from searchkit.types import AudioSample, ImageSample, Modality, TextSample

    torch.set_num_threads(1)
    encoder = load(folder, device="cpu", dtype=precision)
    samples = {
        "text": TextSample("a dog in the snow"),
        "image": ImageSample(np.zeros((64, 64, 3), np.uint8)),
        "audio": AudioSample(np.ones(16_000, np.float32), 16_000),
    }
    found = {"start": memory_mb()}
    for name in BRANCHES:
        if packed:
            encoder.model.pack(name)
        encoder.encode([samples[name]])
        found[name] = memory_mb()
    for name in ("audio", "image"):
        encoder.drop(Modality(name))
        found[f"{name} dropped"] = memory_mb()
    return found


def in_child(name: str, *arguments: str) -> Any:
    """Call one of the functions above in a process of its own."""
    command = [sys.executable, __file__, "--child", name, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(name: str, *arguments: str) -> None:
    if name == "write":
        write_checkpoint(Path(arguments[0]), int(arguments[1]))
        print("null")
    elif name == "convert":
        source, folder, dtype = arguments
        print(json.dumps(measure_conversion(Path(source), Path(folder), dtype or None)))
    else:
        folder, precision, packed = arguments
        print(json.dumps(measure_branches(Path(folder), precision, packed == "packed")))


def added_mb(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """What each branch added to the resident memory; the first one brings the shared part along."""
    before = {"text": "start", "image": "text", "audio": "image"}
    return {name: rows[name]["resident"] - rows[before[name]]["resident"] for name in BRANCHES}


def published_gb(
    small: dict[str, float], large: dict[str, float], layers: tuple[int, int]
) -> dict[str, float]:
    """What 40 layers take: what the two models have in common, and what a layer more adds."""
    fewer, more = layers
    each = {name: (large[name] - small[name]) / (more - fewer) for name in BRANCHES}
    return {name: (small[name] + each[name] * (40 - fewer)) / 1000 for name in BRANCHES}


def run(layers: int, place: Path) -> dict[str, Any]:
    """All measurements of one model; its files are removed at the end."""
    source = place / "checkpoint.pt"
    in_child("write", str(source), str(layers))
    print(f"{layers} layers: a checkpoint of {source.stat().st_size / 1e6:.0f} MB")
    result: dict[str, Any] = {"conversion": {}, "branches": {}}
    for dtype in ("", "bfloat16"):
        row = in_child("convert", str(source), str(place / (dtype or "float32")), dtype)
        result["conversion"][dtype or "as it is"] = row
        print(f"conversion, {dtype or 'as it is'}:", {k: round(v, 2) for k, v in row.items()})
    for precision, packed in [(p, "mapped") for p in PRECISIONS] + [("float32", "packed")]:
        folder = place / ("bfloat16" if precision == "bfloat16" else "float32")
        rows = in_child("branches", str(folder), precision, packed)
        label = f"{precision}, packed" if packed == "packed" else precision
        result["branches"][label] = rows
        print(label)
        for name, row in rows.items():
            print(f"  {name:<14} {row['resident']:>7.0f} MB resident, {row['mapped']:>6.0f} of them mapped")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, nargs=2, default=(1, 3), metavar=("FEWER", "MORE"))
    parser.add_argument("--folder", type=Path, help="where the files go (default: a temporary folder)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    fewer, more = arguments.layers
    results = {}
    for layers in (fewer, more):
        with tempfile.TemporaryDirectory(prefix="memory-", dir=arguments.folder) as place:
            results[layers] = run(layers, Path(place))
    published = {}
    for label in results[fewer]["branches"]:
        both = [added_mb(results[layers]["branches"][label]) for layers in (fewer, more)]
        published[label] = published_gb(both[0], both[1], (fewer, more))
        sizes = ", ".join(f"{name} {gb:+.1f} GB" for name, gb in published[label].items())
        print(f"40 layers, {label}: {sizes}")
    counts = parameters(40)
    print("parameters of the published model, millions:", {k: round(v / 1e6) for k, v in counts.items()})
    if arguments.json:
        found = {"measured": results, "published_gb": published, "published_parameters": counts}
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()

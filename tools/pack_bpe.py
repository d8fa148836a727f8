"""Pack the published BPE files into the array file that ships with searchkit.

Usage: python tools/pack_bpe.py DIR OUT.npz, with `encoder.json`, `vocab.bpe` and `dict.txt` in DIR.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    vocabulary: dict[str, int] = json.loads((arguments.folder / "encoder.json").read_text(encoding="utf-8"))
    lines = (arguments.folder / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
    pairs = [line.split(" ") for line in lines if line]
    words = [line.split(" ")[0] for line in (arguments.folder / "dict.txt").read_text().splitlines()]
    np.savez_compressed(
        arguments.out,
        merges=np.array([[vocabulary[left], vocabulary[right]] for left, right in pairs], dtype=np.uint16),
        dictionary=np.array([int(word) for word in words if word.isdecimal()], dtype=np.uint16),
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

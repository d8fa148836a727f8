"""Check this implementation of ONE-PEACE against recorded inputs and outputs of the original.

Usage: python tools/check_golden.py DIR

Every folder under DIR (or DIR itself) that holds a fixture is run; what a folder holds decides which checks
it gets, not its name. Prints a line a tensor: the largest absolute error and the tolerance, then
`N passed, M failed`; the exit code is 1 when one fails or nothing was found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from golden import checkpoints, models, preprocessing, pretraining, shapes, upgrades
from golden.compare import Check, failed, uncompared

CheckFolder = Callable[[Path], Iterator[Check]]


def checks_of(folder: Path) -> CheckFolder | None:
    """What kind of fixture a folder holds, told from its files."""
    if any(folder.glob("*.pt")) or any(folder.glob("*.pt.xz")):
        return checkpoints.check_folder
    if (folder / "expected_text.json").is_file() or (folder / "expected_audio.npz").is_file():
        return preprocessing.check_folder
    if not (folder / "config.json").is_file():
        return None
    config = json.loads((folder / "config.json").read_text())
    if "from" in config:
        return upgrades.check_folder
    kinds: dict[str, CheckFolder] = {
        "one_peace_retrieval": models.check_retrieval,
        "one_peace_classify": models.check_classify,
        "one_peace_pretrain": pretraining.check_folder,
    }
    return kinds.get(config.get("model", {}).get("_name", ""))


def checks_in(folder: Path) -> Iterator[Check]:
    """All checks of one folder; what is recorded there and was not compared is a failed check."""
    if (folder / shapes.FILE_NAME).is_file():
        yield from shapes.check_file(folder / shapes.FILE_NAME)
    checker = checks_of(folder)
    if checker is None:
        if any(folder.glob("expected*.npz")) or any(folder.glob("*.safetensors")):
            yield Check("fixture", float("inf"), 0.0, "config.json names no kind of model that is known")
        return
    done: list[Check] = []
    try:
        for check in checker(folder):
            done.append(check)
            yield check
    except Exception as error:  # a fixture that breaks must not hide the others
        yield from failed("run", error)
    yield from uncompared(folder, done)


def run_folder(folder: Path) -> list[Check]:
    """Run and print the checks of one folder."""
    done = []
    for check in checks_in(folder):
        done.append(check)
        print(f"{folder.name}: {check.line()}", flush=True)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    root: Path = parser.parse_args().folder
    torch.manual_seed(0)
    folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir())] if root.is_dir() else []
    results = [check for folder in folders for check in run_folder(folder)]
    bad = [check for check in results if not check.passed]
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main())

"""This implementation gives what the original gave, tensor by tensor."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"


def run_check(repository: Path, folder: Path) -> tuple[int, str]:
    tool = repository / "tools" / "check_golden.py"
    done = subprocess.run(
        [sys.executable, str(tool), str(folder)], capture_output=True, text=True, timeout=600, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_recorded_subset_is_reproduced(repository: Path) -> None:
    code, output = run_check(repository, DATA)
    assert code == 0, output
    passed, failed = map(int, re.findall(r"(\d+) passed, (\d+) failed", output)[-1])
    assert passed > 150
    assert failed == 0


def test_the_whole_recorded_set_is_reproduced(repository: Path, shared: Path) -> None:
    code, output = run_check(repository, shared / "golden")
    assert code == 0, "\n".join(line for line in output.splitlines() if "FAIL" in line or "Error" in line)


def test_a_wrong_figure_is_noticed(repository: Path, tmp_path: Path) -> None:
    copied = tmp_path / "another name"
    shutil.copytree(DATA / "two_images", copied)
    with np.load(copied / "expected.npz") as archive:
        arrays = dict(archive)
    arrays["logits"] = arrays["logits"] + np.float32(1e-3)
    np.savez(copied / "expected.npz", **arrays)
    code, output = run_check(repository, tmp_path)
    assert code == 1
    assert "FAIL logits: 0.001" in output
    assert "1 failed" in output


def test_a_folder_without_fixtures_is_not_a_success(repository: Path, tmp_path: Path) -> None:
    assert run_check(repository, tmp_path)[0] == 1

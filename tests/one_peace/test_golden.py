"""This implementation gives what the original gave, tensor by tensor."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

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


def test_a_recorded_tensor_that_is_not_compared_fails(repository: Path, tmp_path: Path) -> None:
    """An unknown tensor, a case without inputs, a file and a folder that no check knows."""
    shutil.copytree(DATA / "two_images", tmp_path / "a")
    with np.load(tmp_path / "a" / "expected.npz") as archive:
        np.savez(tmp_path / "a" / "expected.npz", **dict(archive), unheard_of=np.ones(3))
    np.savez(tmp_path / "a" / "expected_fp8.npz", x=np.ones(3))
    shutil.copytree(DATA / "retrieval", tmp_path / "b")
    with np.load(tmp_path / "b" / "inputs.npz") as archive:
        np.savez(tmp_path / "b" / "inputs.npz", **{k: v for k, v in archive.items() if "image" not in k})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text('{"model": {"_name": "one_peace_song"}}')
    np.savez(tmp_path / "c" / "expected.npz", logits=np.ones(3))
    code, output = run_check(repository, tmp_path)
    assert code == 1
    assert "a: FAIL unheard_of: inf" in output
    assert "a: FAIL expected_fp8.npz: inf" in output
    assert "b: FAIL image.embedding: inf" in output
    assert "c: FAIL fixture: inf" in output


def test_missing_and_unknown_weights_fail(repository: Path, tmp_path: Path) -> None:
    for change in ("missing", "unknown"):
        shutil.copytree(DATA / "two_images", tmp_path / change)
        path = tmp_path / change / "weights.safetensors"
        weights = load_file(path)
        if change == "missing":
            del weights["classify_head.classifier.3.bias"]
        else:
            weights["classify_head.classifier.9.bias"] = weights["classify_head.classifier.3.bias"].clone()
        save_file(weights, path)
    code, output = run_check(repository, tmp_path)
    assert code == 1
    for change in ("missing", "unknown"):
        assert f"is {change}" in output
        assert f"{change}: FAIL logits: inf" in output

"""Without the extra, training names the line to type, and nothing else of the program minds."""

from __future__ import annotations

import subprocess
import sys

_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from searchkit.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def test_a_missing_extra_is_named_with_its_pip_line() -> None:
    command = [sys.executable, "-c", _WITHOUT_TORCH, "train"]
    done = subprocess.run([*command, "pretrain", "run", "pairs.jsonl"], capture_output=True, text=True)
    assert done.returncode == 5
    assert "torch is not installed" in done.stderr
    assert "pip install 'searchkit[train]'" in done.stderr
    assert (
        "Example" in subprocess.run([*command, "pretrain", "--help"], capture_output=True, text=True).stdout
    )

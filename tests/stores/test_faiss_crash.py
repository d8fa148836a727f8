import subprocess
import sys
from pathlib import Path

import pytest


def test_a_kill_before_any_step_leaves_the_state_after_some_operation(tmp_path: Path) -> None:
    # where there is a file system in memory, use it: what is tested is the order of steps, not the disk
    memory = Path("/dev/shm")
    folder = memory / f"searchkit-{tmp_path.parent.name}" if memory.is_dir() else tmp_path / "c"
    try:
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("crash_steps.py"), folder],
            capture_output=True,
            text=True,
            check=False,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
        )
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)
    assert done.returncode == 0, done.stderr[-2000:]
    if int(done.stdout.split()[-1]) < 100:
        pytest.fail(f"only {done.stdout} steps: the writer no longer calls what the test intercepts")

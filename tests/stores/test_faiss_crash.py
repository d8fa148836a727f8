import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def test_a_kill_before_any_step_leaves_the_state_after_some_operation(tmp_path: Path) -> None:
    # where there is a file system in memory, use it: what is tested is the order of steps, not the disk
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as place:
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("crash_steps.py"), Path(place) / "c"],
            capture_output=True,
            text=True,
            check=False,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
        )
    assert done.returncode == 0, done.stderr[-2000:]
    if int(done.stdout.split()[-1]) < 100:
        pytest.fail(f"only {done.stdout} steps: the writer no longer calls what the test intercepts")

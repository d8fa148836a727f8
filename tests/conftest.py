"""What all tests share: where things lie, and small media files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the time of one example says more about the machine than about the code. The same examples in
# every run, so that a failure is of the change at hand; `--hypothesis-profile explore` looks for new ones.
settings.register_profile(
    "searchkit", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("searchkit"), derandomize=False, max_examples=500)
settings.load_profile("searchkit")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_media(repository: Path) -> Path:
    return repository / "sample_media"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recorded figures and evaluation media that do not lie in the repository."""
    folder = Path(os.environ.get("SEARCHKIT_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the folder of shared fixtures, looked for at {folder} (SEARCHKIT_SHARED)")
    return folder


@pytest.fixture(autouse=True)
def _own_library(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the library or the settings of the person who runs it."""
    for name in [name for name in os.environ if name.startswith("SEARCHKIT_") and name != "SEARCHKIT_SHARED"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SEARCHKIT_LIBRARY", str(tmp_path_factory.mktemp("default") / "library"))

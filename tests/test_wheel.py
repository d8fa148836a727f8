"""The wheel holds all that the program needs: packages, migrations, the built-in model, the web page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.media_files import write_folder


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z"], check=True, capture_output=True
    ).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, tracked)):
        if (
            not name.startswith(("tests/", "sample_media/", "benchmarks/", "tools/"))
            and (repository / name).exists()
        ):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # Without an index pip asks nobody, not even for a newer pip.
    subprocess.run([*command, "--no-index", "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_package_is_listed(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]
    homes = {"searchkit": "searchkit", "indexer": "searchkit.indexer", "cli": "searchkit.cli"}
    homes["migrations"] = "searchkit.migrations"
    found = set()
    for top, name in homes.items():
        for init in (repository / top).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(repository / top).parts]))
    assert set(settings["packages"]) == found


def test_the_program_runs_from_the_wheel_alone(unpacked: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "media")
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "SEARCHKIT_LIBRARY": str(tmp_path / "library")}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    home = run("-c", "import searchkit; print(searchkit.__file__)").strip()
    assert Path(home).is_relative_to(unpacked)
    run("-m", "searchkit", "index", str(folder))
    assert "dog.txt" in run("-m", "searchkit", "query", "a dog in the snow", "--to", "text", "-k", "1")


def test_nothing_but_the_package_is_installed(unpacked: Path) -> None:
    tops = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"searchkit"}

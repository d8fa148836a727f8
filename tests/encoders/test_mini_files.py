import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import searchkit.encoders.mini as mini
from searchkit.encoders.mini import load
from searchkit.errors import ModelCorrupt, ModelNotFound
from searchkit.types import AudioSample, ImageSample, Sample, TextSample

MODEL = Path(mini.__file__).parent / "model"
SAMPLES: dict[str, Sample] = {
    "text": TextSample("a dog"),
    "image": ImageSample(np.zeros((8, 8, 3), np.uint8)),
    "sound": AudioSample(np.zeros(800, np.float32), 16_000),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def overwrite_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 0xFF
    path.write_bytes(content)


def overwrite_start(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:4096] = b"\xff" * min(4096, len(content))
    path.write_bytes(content)


def test_every_file_is_what_the_manifest_says() -> None:
    load().verify()


def test_the_model_fits_into_45_megabytes_with_its_papers() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 45_000_000
    assert {"MODEL_CARD.md", "LICENSES.md"} <= {path.name for path in MODEL.iterdir()}


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=str(tmp_path)) as caught:
        load(tmp_path)
    assert "build_mini.py" in caught.value.hint


@pytest.mark.parametrize("name", sorted(json.loads((MODEL / "manifest.json").read_text())["files"]))
def test_a_missing_or_cut_file_is_found_when_the_model_is_opened(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(ModelCorrupt, match=name):
        load(copy)
    (copy / name).unlink()
    with pytest.raises(ModelNotFound, match=name):
        load(copy)


@pytest.mark.parametrize("name", ["text.onnx", "sound.npz", "tokenizer.json"])
def test_a_changed_file_of_the_same_size_is_found_by_verify(copy: Path, name: str) -> None:
    encoder = load(copy)
    overwrite_middle(copy / name)
    with pytest.raises(ModelCorrupt, match="sha256") as caught:
        encoder.verify()
    assert name in str(caught.value)


@pytest.mark.parametrize("damage", [overwrite_start, overwrite_middle])
@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("text.onnx", "text"),
        ("tokenizer.json", "text"),
        ("text.npz", "text"),
        ("image.onnx", "image"),
        ("image.npz", "image"),
        ("sound.onnx", "sound"),
        ("sound.npz", "sound"),
    ],
)
def test_a_changed_file_of_the_same_size_is_never_searched_with(
    copy: Path, name: str, branch: str, damage: Callable[[Path], None]
) -> None:
    damage(copy / name)
    encoder = load(copy)
    with pytest.raises(ModelCorrupt, match=name) as caught:
        encoder.encode([SAMPLES[branch]])
    assert "sha256" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"bytes"', '"size"'),
    ],
    ids=["cut", "a list", "no sizes"],
)
def test_a_bad_manifest_is_reported(copy: Path, change: Callable[[str], str]) -> None:
    manifest = copy / "manifest.json"
    manifest.write_text(change(manifest.read_text()))
    with pytest.raises(ModelCorrupt, match="manifest"):
        load(copy)


def test_a_manifest_of_a_later_format_asks_for_an_upgrade(copy: Path) -> None:
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(ModelCorrupt, match="format 3") as caught:
        load(copy)
    assert "upgrade" in caught.value.hint


def test_other_weights_are_another_space(copy: Path) -> None:
    manifest = copy / "manifest.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {"revision": "0" * 16}))
    assert load(copy).space.fingerprint != load().space.fingerprint


def test_the_model_runs_without_leaving_anything_in_the_home_folder(tmp_path: Path) -> None:
    program = "from searchkit.encoders.mini import load; from searchkit.types import TextSample; "
    program += "load().encode([TextSample('a dog')])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    environment |= {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []

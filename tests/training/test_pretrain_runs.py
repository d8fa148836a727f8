"""A pretraining run goes on to the bit after a kill, keeps its log true, and ends in a usable model."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from searchkit.encoders import open_encoder
from searchkit.errors import CheckpointError, UsageError
from searchkit.library import open_library
from searchkit.training.pretrain import pretrain, read_settings
from searchkit.training.pretrain.runs import RunFolder
from tests.training.sets import TINY, write_manifest

STEPS = 24
# Begins step 8 and gets no further, so that the kill comes between two checkpoints on any machine.
HELD = """
import signal, sys
from pathlib import Path
from searchkit.cli.main import run
from searchkit.training.pretrain.loop import Pretraining

train_step = Pretraining.train_step

def train_step_or_wait(self):
    if self.step == 8:
        Path(sys.argv[1]).touch()
        signal.pause()
    return train_step(self)

Pretraining.train_step = train_step_or_wait
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_manifest(tmp_path_factory.mktemp("pairs"))
    (path.parent / "5.png").write_bytes(b"broken")
    return path


@pytest.fixture(scope="module")
def image_run(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> Path:
    run = tmp_path_factory.mktemp("runs") / "image"
    settings = read_settings(None, {**TINY, "steps": STEPS, "save_every": 3, "log_every": 2, "flip": True})
    pretrain(run, [manifest], settings)
    return run


@pytest.fixture(scope="module")
def audio_run(image_run: Path, manifest: Path) -> Path:
    run = image_run.with_name("audio")
    settings = read_settings(None, {**TINY, "modality": "audio", "steps": 4, "bf16": True, "recompute": True})
    pretrain(run, [manifest], settings, start=image_run)
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted((run / "model").glob("*.safetensors")):
        found |= load_file(path)
    return found


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, manifest: Path, image_run: Path
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(
        json.dumps({**TINY, "steps": STEPS, "save_every": 3, "log_every": 2, "flip": True, "workers": 1})
    )
    run = tmp_path / "run"
    held = tmp_path / "held"
    command = [sys.executable, "-c", HELD, str(held), "train", "pretrain", str(run), str(manifest)]
    with (tmp_path / "said").open("w+") as said:
        killed = subprocess.Popen([*command, "--settings", str(settings)], stderr=said)
        try:
            while not held.exists():
                assert killed.poll() is None, (tmp_path / "said").read_text()
                time.sleep(0.01)
        finally:
            killed.kill()
            killed.wait()
    state = RunFolder(run).load()
    assert state is not None
    assert state["step"] == 6
    assert not (run / "model").exists()

    pretrain(run, [manifest], read_settings(settings, {}))

    expected, found = weights(image_run), weights(run)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    rows = [
        list(csv.DictReader((folder / "log.csv").read_text().splitlines())) for folder in (image_run, run)
    ]
    untimed = [[{k: v for k, v in row.items() if k != "seconds"} for row in log] for log in rows]
    assert untimed[0] == untimed[1]


def test_the_log_has_losses_rates_and_what_was_skipped(image_run: Path) -> None:
    with (image_run / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(2, STEPS + 1, 2))
    assert int(rows[-1]["skipped"]) == 1
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert {"itc_loss", "dcl_vl_image_loss", "rate", "logit_scale", "i2t_accuracy"} <= rows[0].keys()


def test_the_audio_stage_leaves_text_pictures_and_attention_alone(image_run: Path, audio_run: Path) -> None:
    first, second = weights(image_run), weights(audio_run)
    assert first.keys() < second.keys()
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved <= {"logit_scale"}
    assert any("audio_ffn" in name for name in second)


def test_a_library_can_be_indexed_with_what_was_trained(
    tmp_path: Path, audio_run: Path, manifest: Path
) -> None:
    encoder = open_encoder("one-peace", audio_run / "model")
    assert {modality.value for modality in encoder.modalities} == {"text", "image", "audio"}
    media = tmp_path / "media"
    media.mkdir()
    for name in ("1.png", "2.png", "3.wav"):
        (media / name).write_bytes((manifest.parent / name).read_bytes())
    with open_library(tmp_path / "library", model="one-peace", model_dir=audio_run / "model") as library:
        report = library.index(media)
        assert (report.new, report.failed) == (3, 0)
        assert len(library.search("a sound")) == 3


def test_a_run_with_other_settings_is_not_continued(image_run: Path, manifest: Path) -> None:
    settings = read_settings(None, {**TINY, "steps": STEPS + 1})
    with pytest.raises(UsageError, match=r"other settings: .*steps"):
        pretrain(image_run, [manifest], settings)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, manifest: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds no run"):
        pretrain(tmp_path, [manifest], read_settings(None, TINY))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: cannot be read"):
        RunFolder(tmp_path).load()


def test_the_audio_stage_needs_a_start(tmp_path: Path, manifest: Path) -> None:
    settings = read_settings(None, {**TINY, "modality": "audio"})
    with pytest.raises(UsageError, match="starts from an image-text run"):
        pretrain(tmp_path / "run", [manifest], settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "video"}, "image or audio"),
        ({"preset": "huge"}, "no preset"),
        ({"batch_size": 1}, "at least 2"),
        ({"crop_scale": 0.0}, "crop_scale"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_settings(None, changes)


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"stepz": 3}')
    with pytest.raises(UsageError, match="stepz"):
        read_settings(path, {})


def test_the_published_shape_is_the_published_one() -> None:
    from searchkit.one_peace.build import build_model
    from searchkit.one_peace.config import ModelConfig
    from searchkit.training.pretrain.settings import pretrain_sections, retrieval_sections

    sections = pretrain_sections(read_settings(None, {"preset": "one-peace"}))
    whole = retrieval_sections(sections, ("text", "image", "audio"), 50264)
    model = build_model(ModelConfig.from_config(whole), device="meta")
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_884_740_545
    assert np.isfinite(model.config.encoder.drop_path_rate)


def test_curves_of_runs_are_drawn(tmp_path: Path, image_run: Path, audio_run: Path) -> None:
    from PIL import Image

    from searchkit.training.pretrain.curves import draw_curves

    with Image.open(draw_curves([image_run, audio_run], tmp_path / "curves.png", over="pairs")) as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(100_000) or []) > 50
    with pytest.raises(UsageError, match=r"log\.csv"):
        draw_curves([tmp_path], tmp_path / "none.png")

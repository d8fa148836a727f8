"""A small model learns from the vectors that a library holds of another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import searchkit as sk
from searchkit.cli.main import run
from searchkit.encoders import open_encoder
from searchkit.encoders.adapted import Head, HeadMap, write_head
from searchkit.errors import UsageError
from searchkit.training.agreement import agreement
from searchkit.training.distill import distill
from searchkit.training.ridge import fit_ridge
from searchkit.types import Modality
from tests.media_files import write_sound
from tests.training.making import write_shapes

DIM = 48


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library embedded by a teacher that sees what mini sees, but in 48 numbers of its own."""
    folder = tmp_path_factory.mktemp("distill")
    write_shapes(folder / "media", 8)
    for seed in range(3):
        write_sound(folder / "media" / f"{seed}.wav", seed)
    base = open_encoder("mini")
    random = np.random.default_rng(0)
    maps = {
        modality: HeadMap(
            random.normal(size=(base.space.dim, DIM)).astype(np.float32), np.zeros(DIM, np.float32)
        )
        for modality in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    }
    write_head(folder / "teacher", Head("mini", None, base.space, maps, DIM))
    base.close()
    with sk.open_library(folder / "library", model=str(folder / "teacher")) as opened:
        opened.index(folder / "media")
    return folder / "library"


def test_the_student_finds_what_the_teacher_finds(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "student"
    assert run(["train", "distill", "--library", str(library), "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    pictures = next(a for a in report["agreements"] if (a["from"], a["to"]) == ("image", "image"))
    assert pictures["student"] > pictures["chance"] + 0.2
    assert pictures["cosine"] > 0.8
    assert report["rows"].keys() == {"image", "text"}
    assert any("audio" in reason for reason in report["skipped"]["reasons"])
    student = open_encoder(str(out))
    assert student.space.dim == DIM
    assert student.space.fingerprint == report["space"] != report["teacher"]
    assert student.modalities == {Modality.IMAGE, Modality.TEXT}
    teacher = open_encoder(str(library.parent / "teacher"))
    words = [sk.TextSample("a green bird")]
    assert float(teacher.encode(words)[0] @ student.encode(words)[0]) > 0.5
    student.close()
    teacher.close()


def test_too_small_a_library_is_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "media" / "a.wav", 1)
    with sk.open_library(tmp_path / "library") as opened:
        opened.index(tmp_path / "media")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("here")
    with pytest.raises(UsageError, match="not empty"):
        distill(tmp_path / "taken", library=tmp_path / "library")


def test_ridge_finds_a_map_that_is_there() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(120, 20)).astype(np.float32)
    wanted = rows @ random.normal(size=(20, 8)).astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = fit_ridge(rows[:90], wanted[:90])(rows[90:])
    assert float((found * wanted[90:]).sum(axis=1).mean()) > 0.97


def test_agreement_of_equal_spaces_is_whole() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(30, 6)).astype(np.float32)
    other = random.normal(size=(30, 6)).astype(np.float32)
    found = agreement(Modality.TEXT, Modality.TEXT, [rows, rows], [rows, rows], [other, other], same=True)
    assert found.student == 1
    assert found.before == pytest.approx(found.chance, abs=0.15)

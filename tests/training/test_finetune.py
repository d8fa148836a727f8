"""Fine-tuning a projection as a user does: pairs in, a model's folder out, measured on what it never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchkit as sk
from searchkit.cli.main import run
from searchkit.encoders import open_encoder
from searchkit.errors import ModelCorrupt, ModelWorse, UsageError
from searchkit.testing import EncoderContract
from searchkit.training.finetune import FineTuneOptions, FineTuneReport, finetune, make_default
from searchkit.training.heldout import split_pairs
from searchkit.training.pairs import Pair, Side, read_pairs
from searchkit.training.projection import ProjectionOptions, fit_projection
from searchkit.types import Encoder, Modality
from tests.media_files import write_sound
from tests.training.making import NAMES, write_shapes

OPTIONS = FineTuneOptions(epochs=20)
EACH = 6


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), EACH)


@pytest.fixture(scope="module")
def report(shapes: Path) -> FineTuneReport:
    with shapes.open("a") as file:
        file.write('{"text": "", "image": "wug0.png"}\n{"text": "a cat", "image": "none.png"}\nnot json\n')
    (shapes.parent / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    with shapes.open("a") as file:
        file.write('{"text": "a wug", "image": "broken.jpg"}\n')
    return finetune(shapes, shapes.parent / "mine", model="mini", options=OPTIONS)


def test_names_that_the_model_never_heard_are_found_on_files_it_never_saw(report: FineTuneReport) -> None:
    before, after = report.comparison.before, report.comparison.after
    assert before.forward.hit_rate[1] <= 0.5
    assert after.forward.hit_rate[1] >= 0.8
    assert after.backward.mrr >= 0.8
    assert after.score > before.score + 0.3
    assert not report.comparison.is_worse
    assert report.moved == (Modality.IMAGE,)


def test_bad_pairs_are_left_out_and_counted(report: FineTuneReport) -> None:
    assert report.skipped.reasons == {
        "text is empty or no string": 1,
        "a file is missing": 1,
        "no JSON": 1,
        "a file cannot be read": 1,
    }
    assert report.trained + report.heldout == EACH * len(NAMES)


def test_the_same_seed_gives_the_same_space(shapes: Path, report: FineTuneReport, tmp_path: Path) -> None:
    again = finetune(shapes, tmp_path / "again", model="mini", options=OPTIONS)
    assert again.space == report.space != report.base


def test_the_folder_indexes_and_searches(report: FineTuneReport, shapes: Path, tmp_path: Path) -> None:
    with sk.open_library(tmp_path / "library", model=str(report.folder)) as library:
        library.index(shapes.parent)
        assert library.space.fingerprint == report.space
        found = library.search("a zep", to="image", k=4)
        assert [result.path.name[:3] for result in found] == ["zep"] * 4
    with sk.open_library(tmp_path / "library") as library:
        assert library.space.fingerprint == report.space


def test_other_modalities_keep_their_vectors(report: FineTuneReport, tmp_path: Path) -> None:
    base, tuned = open_encoder("mini"), open_encoder(str(report.folder))
    words = [sk.TextSample("a dog"), sk.TextSample("snow")]
    np.testing.assert_array_equal(base.encode(words), tuned.encode(words))
    sound = sk.open_library(tmp_path / "other", model=str(report.folder))
    with sound:
        write_sound(tmp_path / "a.wav", 1)
        assert sound.embed_query(sk.audio(tmp_path / "a.wav")).vector.shape == (base.space.dim,)
    base.close()
    tuned.close()


class TestContract(EncoderContract):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, report: FineTuneReport) -> None:
        cls.folder = report.folder

    def open_encoder(self) -> Encoder:
        return open_encoder(str(self.folder))


def test_a_damaged_head_is_told(report: FineTuneReport, tmp_path: Path) -> None:
    for name in ("head.json", "head.npz"):
        (tmp_path / name).write_bytes((report.folder / name).read_bytes())
    with (tmp_path / "head.npz").open("r+b") as file:
        file.seek(500)
        file.write(b"xxxx")
    with pytest.raises(ModelCorrupt, match="damaged"):
        open_encoder(str(tmp_path))


def test_a_model_that_finds_less_is_nobodys_default(
    sample_media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too large a step forgets what was known; fourteen pairs leave none to choose the epoch with."""
    photos = sorted((sample_media / "photos").glob("*.jpg"))[:14]
    lines = [{"text": photo.stem.replace("_", " "), "image": str(photo)} for photo in photos]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("\n".join(map(json.dumps, lines)))
    library, out = tmp_path / "library", tmp_path / "out"
    sk.open_library(library).close()
    arguments = ["train", "finetune", str(pairs), "--library", str(library), "--default", "--json"]
    arguments += ["--epochs", "3", "--learning-rate", "0.5", "--heldout", "0.5"]
    code = run([*arguments, "--out", str(out)])
    captured = capsys.readouterr()
    assert json.loads(captured.out)["is_worse"]
    assert code == 5
    assert "finds less" in captured.err
    assert (out / "head.json").is_file()
    assert "out" not in (library / "library.toml").read_text()
    assert run([*arguments, "--out", str(tmp_path / "kept"), "--force"]) == 0
    assert str(tmp_path / "kept") in (library / "library.toml").read_text()


def test_a_better_model_becomes_the_default(report: FineTuneReport, tmp_path: Path) -> None:
    sk.open_library(tmp_path / "library").close()
    make_default(report, tmp_path / "library")
    with sk.open_library(tmp_path / "library") as library:
        assert library.space.fingerprint == report.space


def test_likes_and_unlikes_teach(tmp_path: Path) -> None:
    # Files of its own, and one after the other: what is held out follows from the order of the segments' ids.
    (tmp_path / "shapes").mkdir()
    shapes = write_shapes(tmp_path / "shapes", EACH)
    with sk.open_library(tmp_path / "library", jobs=1) as library:
        library.index(shapes.parent)
        ids = {result.path.stem: result.segment_id for result in library.search("a shape", to="image", k=100)}
        for name, other in zip(NAMES, NAMES[1:] + NAMES[:1], strict=True):
            likes = " + ".join(f"id:{ids[f'{name}{copy}']}" for copy in range(EACH))
            library.save_query(name, f"text:{name} + {likes} - id:{ids[f'{other}0']}")
    report = finetune(None, tmp_path / "out", library=tmp_path / "library", feedback=True, options=OPTIONS)
    assert report.trained + report.heldout == (EACH + 1) * len(NAMES)
    assert report.comparison.after.score > max(report.comparison.before.score, 0.8)


def test_files_of_the_two_parts_differ(shapes: Path) -> None:
    pairs = read_pairs(shapes).pairs
    train, held = split_pairs(pairs, share=0.25, seed=3)
    assert not {pair.right for pair in train} & {pair.right for pair in held}
    assert len(train) + len(held) == len(pairs)
    with pytest.raises(UsageError, match="too few"):
        split_pairs(pairs[:5], share=0.2, seed=0)


def _unit_rows(sides: list[Side], values: Any) -> dict[Side, Any]:
    return {
        side: (row / np.linalg.norm(row)).astype(np.float32) for side, row in zip(sides, values, strict=True)
    }


def test_the_gradient_is_that_of_the_loss() -> None:
    from searchkit.training import projection

    random = np.random.default_rng(0)
    sides = [Side(Modality.TEXT if n < 3 else Modality.IMAGE, text=str(n)) for n in range(7)]
    rows = _unit_rows(sides, random.normal(size=(len(sides), 5)))
    batch = [Pair(sides[0], sides[3]), Pair(sides[1], sides[4]), Pair(sides[1], sides[5])]
    partners = {(pair.left, pair.right) for pair in batch}
    against = {sides[0]: [sides[6]]}
    maps = {m: 0.1 * random.normal(size=(6, 5)) for m in (Modality.TEXT, Modality.IMAGE)}
    _, gradients = projection._loss(batch, against, partners, rows, maps, 7.0)
    for modality in maps:
        for place in ((0, 0), (3, 2), (5, 4)):
            values = []
            for step in (1e-6, -1e-6):
                moved = {m: array.copy() for m, array in maps.items()}
                moved[modality][place] += step
                values.append(projection._loss(batch, against, partners, rows, moved, 7.0)[0])
            assert gradients[modality][place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_words_move_only_where_there_is_nothing_else() -> None:
    random = np.random.default_rng(0)
    sides = [Side(Modality.TEXT, text=str(n)) for n in range(20)]
    rows = _unit_rows(sides, random.normal(size=(len(sides), 8)))
    pairs = [Pair(left, right) for left, right in zip(sides[:10], sides[10:], strict=True)]
    maps, curve = fit_projection(pairs, rows, ProjectionOptions(epochs=5))
    assert set(maps) == {Modality.TEXT}
    assert curve[-1]["loss"] < curve[1]["loss"]


def test_pairs_without_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to train on"):
        finetune(None, tmp_path / "out", model="mini")
    (tmp_path / "pairs.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="no pair"):
        finetune(tmp_path / "pairs.jsonl", tmp_path / "out", model="mini")
    with pytest.raises(UsageError, match="no method"):
        FineTuneOptions(method="magic")


def test_worse_is_an_error_of_its_own(report: FineTuneReport) -> None:
    from dataclasses import replace

    swapped = replace(report.comparison, before=report.comparison.after, after=report.comparison.before)
    with pytest.raises(ModelWorse, match="finds less"):
        replace(report, comparison=swapped).refuse_if_worse()

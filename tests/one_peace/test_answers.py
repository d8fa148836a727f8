"""Grounding, audio classes and the commands around models, end to end with tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file

from searchkit.cli.main import run
from searchkit.errors import EncoderError, ModelCorrupt, UsageError
from searchkit.one_peace import Box, classify_sound, convert_checkpoint, draw_box, from_pretrained, ground
from tests.one_peace.tiny import tiny_config, write_checkpoint


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grounding model whose box is always x 0.25 to 0.75, y 0.25 to 0.75, up to a little noise."""
    place = tmp_path_factory.mktemp("boxes")
    config = tiny_config(
        "one_peace_classify", "vl", task={"num_classes": 4}, attn_pooling=True, head_scale_ratio=2
    )
    model = write_checkpoint(place / "g.pt", config)
    with torch.no_grad():
        model.classify_head.classifier[3].weight.mul_(0.02)
        model.classify_head.classifier[3].bias.copy_(torch.tensor([-1.0986, -1.0986, 1.0986, 1.0986]))
    state = {"cfg": {k: config[k] for k in ("task", "model")}, "model": model.state_dict()}
    torch.save(state, place / "g.pt")
    return convert_checkpoint(place / "g.pt", place / "g")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("classes")
    config = tiny_config("one_peace_classify", "audio", task={"num_classes": 6}, attn_pooling=True)
    write_checkpoint(place / "c.pt", config)
    return convert_checkpoint(place / "c.pt", place / "c")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 100), (0, 0, 0)).save(tmp_path / "street.png")
    return tmp_path / "street.png"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "bark.wav", np.sin(np.arange(20_000) * 0.3), 16_000)
    return tmp_path / "bark.wav"


def test_a_box_is_found_in_the_pixels_of_the_picture(boxes: Path, picture: Path) -> None:
    box = ground(picture, "the red car", model=boxes)
    assert box.is_well_formed
    assert (box.x0_px, box.x1_px) == pytest.approx((50, 150), abs=15)
    assert (box.y0_px, box.y1_px) == pytest.approx((25, 75), abs=8)


def test_the_box_depends_on_the_text(boxes: Path, picture: Path) -> None:
    assert ground(picture, "the red car", model=boxes) != ground(picture, "a small dog", model=boxes)


def test_a_box_is_drawn_and_an_inverted_one_is_refused(picture: Path, tmp_path: Path) -> None:
    draw_box(picture, Box(50, 25, 150, 75), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as drawn:
        pixels = np.asarray(drawn)
    assert pixels[50, 50, 0] == 255
    assert pixels[50, 100, 0] == 0
    with pytest.raises(UsageError, match="no inside"):
        draw_box(picture, Box(150, 25, 50, 75), tmp_path / "none.png")
    with pytest.raises(UsageError, match="no such folder"):
        draw_box(picture, Box(50, 25, 150, 75), tmp_path / "a" / "none.png")


def test_sounds_get_classes_with_names(classes: Path, sound: Path, tmp_path: Path) -> None:
    found = classify_sound(sound, k=3, model=classes)
    assert [c.name for c in found] == ["", "", ""]
    assert found[0].probability >= found[1].probability >= found[2].probability > 0
    everything = classify_sound(sound, k=99, model=classes)
    assert sum(c.probability for c in everything) == pytest.approx(1, abs=1e-5)
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({str(i): f"name {i}" for i in range(6)}))
    named = classify_sound(sound, k=1, model=classes, labels=labels)
    assert named[0].name == f"name {found[0].number}"
    labels.write_text("7")
    with pytest.raises(ModelCorrupt, match=r"labels\.json"):
        classify_sound(sound, model=classes, labels=labels)


def test_each_question_needs_its_kind_of_model(
    classes: Path, boxes: Path, sound: Path, picture: Path
) -> None:
    with pytest.raises(EncoderError, match="boxes"):
        ground(picture, "x", model=classes)
    with pytest.raises(EncoderError, match="classify sounds"):
        classify_sound(sound, model=boxes)
    hub = from_pretrained(boxes, model_type="one_peace_classify", device="cpu")
    with pytest.raises(EncoderError, match="text with image"):
        hub.extract_text_features(hub.process_text(["dog"]))


def test_ground_on_the_command_line(
    boxes: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.png"
    arguments = ["ground", str(picture), "the red car", "--model-dir", str(boxes), "--out", str(out)]
    assert run(arguments) == 0
    assert capsys.readouterr().out.startswith("x ")
    with Image.open(out) as drawn:
        assert drawn.size == (200, 100)
    assert run([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["found"]
    assert len(answer["box_px"]) == 4


def test_classify_on_the_command_line(classes: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["classify", str(sound), "--model-dir", str(classes), "-k", "2"]) == 0
    assert "class" in capsys.readouterr().out
    assert run(["classify", str(sound), "--model-dir", str(classes), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["classes"]) == 5


def test_convert_on_the_command_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "tiny"
    assert run(["models", "convert", str(checkpoint), str(target), "--dtype", "bfloat16"]) == 0
    assert capsys.readouterr().out.strip() == str(target)
    assert run(["models", "convert", str(checkpoint), str(target)]) == 2
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    assert run(["models", "convert", str(tmp_path / "bad.pt"), str(tmp_path / "bad")]) == 5
    assert "bad.pt" in capsys.readouterr().err


def test_indexing_and_searching_with_a_converted_model(
    folder: Path, tmp_path: Path, picture: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = ["--library", str(tmp_path / "library")]
    (tmp_path / "note.txt").write_text("a dog in the snow")
    model = ["--model", "one-peace", "--model-dir", str(folder)]
    assert run(["index", str(tmp_path), *library, *model]) == 0
    capsys.readouterr()
    assert run(["query", "--audio", str(sound), *library, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {"bark.wav", "street.png"} <= {Path(result["path"]).name for result in results}
    sounds = [result for result in results if result["modality"] == "audio"]
    assert Path(sounds[0]["path"]).name == "bark.wav"


def test_indexing_with_merged_tokens_is_another_space(
    folder: Path, tmp_path: Path, picture: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = ["--library", str(tmp_path / "library")]
    place = ["--model-dir", str(folder)]
    assert run(["index", str(tmp_path), *library, "--fast", *place]) == 0
    capsys.readouterr()
    assert run(["query", "--audio", str(sound), *library, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert Path(results[0]["path"]).name == "bark.wav"
    assert run(["index", str(tmp_path), *library, "--model", "mini", "--fast"]) == 5
    assert "no option 'fast'" in capsys.readouterr().err


@pytest.mark.parametrize("fixture", ["4a_grounding_vl", "4b_audio_classify"])
def test_recorded_heads_answer_through_the_hub(shared: Path, tmp_path: Path, fixture: str) -> None:
    """The fixture's weights, written as a checkpoint, converted and opened as a user would."""
    recorded = shared / "golden" / fixture
    config = json.loads((recorded / "config.json").read_text())
    config["model"]["use_image_features"] = False
    state = {
        "cfg": {k: config[k] for k in ("task", "model")},
        "model": load_file(recorded / "weights.safetensors"),
    }
    torch.save(state, tmp_path / "m.pt")
    folder = convert_checkpoint(tmp_path / "m.pt", tmp_path / "m")
    hub = from_pretrained(folder, model_type="one_peace_classify", device="cpu")
    with np.load(recorded / "inputs.npz") as archive:
        given = {key: torch.from_numpy(archive[key]) for key in archive.files}
    with np.load(recorded / "expected.npz") as archive, torch.no_grad():
        if "src_tokens" not in given:
            found = hub.extract_audio_features(given["src_audios"], given["audio_padding_masks"])
            expected = archive["logits"]
        else:
            found = hub.extract_vl_features(given["src_images"], given["src_tokens"]).sigmoid()
            found[:, ::2] *= given["image_widths"].unsqueeze(1)
            found[:, 1::2] *= given["image_heights"].unsqueeze(1)
            expected = archive["use_image_features_false.coords"]
    np.testing.assert_allclose(found.numpy(), expected, atol=5e-4 if "vl" in fixture else 1e-5)


def test_ground_draws_the_box_that_a_recorded_head_gives(shared: Path, tmp_path: Path) -> None:
    """The recorded head's weights on a real picture: the drawn frame lies where the printed corners are."""
    recorded = shared / "golden" / "4a_grounding_vl"
    config = json.loads((recorded / "config.json").read_text())
    weights = load_file(recorded / "weights.safetensors")
    state = {"cfg": {k: config[k] for k in ("task", "model")}, "model": weights}
    photo = shared / "golden" / "3_preprocessing" / "images" / "photo.jpg"
    texts = ("a dog", "the red car", "a man in a hat", "snow", "two birds on a wire", "the left one")
    torch.save(state, tmp_path / "m.pt")
    hub = from_pretrained(tmp_path / "m.pt", model_type="one_peace_classify", device="cpu")
    boxes = [ground(photo, text, model=hub) for text in texts]
    with Image.open(photo) as opened:
        size = opened.size
    assert len(set(boxes)) == len(texts)
    for box in boxes:
        assert 0 <= min(box.x0_px, box.x1_px) <= max(box.x0_px, box.x1_px) <= size[0]
        assert 0 <= min(box.y0_px, box.y1_px) <= max(box.y0_px, box.y1_px) <= size[1]
        if box.is_well_formed:
            draw_box(photo, box, tmp_path / "out.png")
            with Image.open(tmp_path / "out.png") as drawn:
                assert drawn.size == size
                assert drawn.getpixel((int(box.x0_px) + 1, int(box.y0_px) + 1)) == (255, 32, 32)

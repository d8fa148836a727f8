"""Code written for the original's hub interface runs, and what it gets is what the model gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from searchkit.errors import EncoderError, ModalityUnsupported, ModelNotFound, UsageError
from searchkit.one_peace import OnePeaceHubInterface, from_pretrained
from tests.one_peace.tiny import tiny_config, tiny_model, write_checkpoint


@pytest.fixture(scope="module")
def hub(checkpoint: Path) -> OnePeaceHubInterface:
    return from_pretrained(str(checkpoint), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    random = np.random.default_rng(0)
    for name, size in (("a.png", (40, 60, 3)), ("b.png", (90, 30, 3))):
        Image.fromarray(random.integers(0, 255, size, dtype=np.uint8)).save(folder / name)
    soundfile.write(folder / "short.wav", random.standard_normal(17_000) * 0.1, 16_000)
    soundfile.write(folder / "long.wav", random.standard_normal(50_000) * 0.1, 22_050)
    return folder


def test_the_quick_start_of_the_original_runs(hub: OnePeaceHubInterface, media: Path) -> None:
    src_tokens = hub.process_text(["cow", "dog", "elephant"])
    src_images = hub.process_image([media / "a.png", str(media / "b.png")])
    src_audios, audio_padding_masks = hub.process_audio([media / "short.wav", media / "long.wav"])
    with torch.no_grad():
        text_features = hub.extract_text_features(src_tokens)
        image_features = hub.extract_image_features(src_images)
        audio_features = hub.extract_audio_features(src_audios, audio_padding_masks)
    similarity = image_features @ text_features.T
    assert similarity.shape == (2, 3)
    for features in (text_features, image_features, audio_features):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(len(features)))
    with torch.no_grad():
        expected = tiny_model(tiny_config())("text", src_tokens=src_tokens)
    torch.testing.assert_close(text_features, expected, rtol=0, atol=2e-6)


def test_pairs_come_as_images_with_sizes_and_texts(hub: OnePeaceHubInterface, media: Path) -> None:
    pairs = [(media / "a.png", "a cow"), (media / "b.png", "dog")]
    (pixels, widths, heights), tokens = hub.process_image_text_pairs(pairs, return_image_sizes=True)
    assert pixels.shape == (2, 3, 64, 64)
    assert (widths.tolist(), heights.tolist()) == ([60, 30], [40, 90])
    assert tokens.shape == (2, 3)


@pytest.mark.parametrize("dtype", ["bf16", "bfloat16", "fp16", "float16", torch.bfloat16])
def test_low_precision_works_for_all_modalities(
    checkpoint: Path, hub: OnePeaceHubInterface, media: Path, dtype: str | torch.dtype
) -> None:
    low = from_pretrained(checkpoint, device="cpu", dtype=dtype)
    with torch.no_grad():
        for features in ("text", "image", "audio"):
            files = {"text": ["a dog"], "image": [media / "a.png"], "audio": [media / "short.wav"]}[features]
            outputs = []
            for model in (low, hub):
                made = getattr(model, f"process_{features}")(files)
                arguments = made if isinstance(made, tuple) else (made,)
                outputs.append(getattr(model, f"extract_{features}_features")(*arguments).float())
            assert float(torch.cosine_similarity(outputs[0], outputs[1])) > 0.999


def test_gradients_flow_where_the_caller_asks_for_them(hub: OnePeaceHubInterface) -> None:
    pixels = torch.rand(1, 3, 64, 64, requires_grad=True)
    hub.extract_image_features(pixels)[0, 0].backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", ["float8", "", "int8", torch.int64])
def test_unknown_types_are_refused(checkpoint: Path, dtype: str | torch.dtype) -> None:
    with pytest.raises(UsageError, match="dtype"):
        from_pretrained(checkpoint, dtype=dtype)


def test_what_does_not_fit_is_said(checkpoint: Path, hub: OnePeaceHubInterface, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one_peace_paint"):
        from_pretrained(checkpoint, model_type="one_peace_paint")
    with pytest.raises(ModelNotFound, match="ONE-WAR"):
        from_pretrained("ONE-WAR")
    with pytest.raises(ModelNotFound) as caught:
        from_pretrained("ONE-PEACE", download_root=tmp_path)
    assert "models pull" in caught.value.hint
    with pytest.raises(EncoderError, match="no joint feature"):
        hub.extract_vl_features(torch.rand(1, 3, 64, 64), torch.tensor([[5, 2]]))
    with pytest.raises(EncoderError, match="empty list"):
        hub.process_text([])
    with pytest.raises(EncoderError, match="empty list"):
        hub.process_image([])
    with pytest.raises(EncoderError, match="empty list"):
        hub.process_audio([])
    with pytest.raises(EncoderError, match="64"):
        hub.extract_image_features(torch.rand(1, 3, 32, 32))
    with pytest.raises(EncoderError, match="longer than"):
        hub.extract_text_features(torch.full((1, 600), 5))
    with pytest.raises(EncoderError, match="longer than"):
        hub.extract_audio_features(torch.zeros(1, 400_000), torch.zeros(1, 1250, dtype=torch.bool))


def test_a_missing_branch_is_said(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "vl.pt", tiny_config(head_type="vl"))
    hub = from_pretrained(tmp_path / "vl.pt", device="cpu")
    with pytest.raises(ModalityUnsupported, match="no audio branch"):
        hub.extract_audio_features(torch.zeros(1, 16_000), torch.zeros(1, 50, dtype=torch.bool))


def test_a_checkpoint_with_other_parts_loads(tmp_path: Path) -> None:
    """Decoder weights and a missing logit_scale, which the original refuses or fills at random."""
    config = tiny_config()
    weights = dict(tiny_model(config).state_dict())
    del weights["logit_scale"]
    weights["decoder_wrapper.fusion_model.version"] = torch.ones(1)
    weights["decoder_text_embed.weight"] = torch.ones(3, 3)
    weights["encoder_wrapper.text_adapter.rp_bucket"] = torch.zeros(4, 4, dtype=torch.long)
    path = tmp_path / "odd.pt"
    torch.save({"cfg": {k: config[k] for k in ("task", "model")}, "model": weights}, path)
    hub = from_pretrained(path, device="cpu")
    assert hub.extract_text_features(hub.process_text(["dog"])).shape == (1, 32)
    with hub.model.using("text") as model:
        assert float(model.logit_scale.exp()) == pytest.approx(1 / 0.07)


def test_a_retrieval_file_is_no_classifier(checkpoint: Path) -> None:
    with pytest.raises(EncoderError, match="num_classes"):
        from_pretrained(checkpoint, model_type="one_peace_classify", device="cpu")


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, searchkit.one_peace; assert 'torch' not in sys.modules; print('fine')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_without_torch_the_message_names_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import searchkit.one_peace as op\n"
        "from searchkit.errors import DependencyMissing\n"
        "try:\n    op.from_pretrained\n"
        "except DependencyMissing as error:\n    print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pip install 'searchkit[one-peace]'"


def test_a_file_that_the_original_downloaded_is_found_by_its_name(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".cache" / "one-peace"
    left.mkdir(parents=True)
    (left / "one-peace.pt").write_bytes(checkpoint.read_bytes())
    monkeypatch.setenv("SEARCHKIT_MODELS", str(tmp_path / "models"))
    with pytest.raises(ModelNotFound):
        from_pretrained("ONE-PEACE_Grounding")
    monkeypatch.setenv("HOME", str(tmp_path))
    for hub in (from_pretrained("ONE-PEACE"), from_pretrained("ONE-PEACE", download_root=left)):
        assert hub.model.source.name == str(left / "one-peace.pt")


def test_the_grounding_recipe_of_the_original_runs(media: Path, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "g.pt", tiny_config("one_peace_classify", "vl", task={"num_classes": 4}))
    model = from_pretrained(tmp_path / "g.pt", model_type="one_peace_classify", device="cpu", dtype="float32")
    pairs = [(str(media / "a.png"), "a blue turtle"), (str(media / "b.png"), "a mouse")]
    (src_images, image_widths, image_heights), src_tokens = model.process_image_text_pairs(
        pairs, return_image_sizes=True
    )
    with torch.no_grad():
        vl_features = model.extract_vl_features(src_images, src_tokens).sigmoid()
        vl_features[:, ::2] *= image_widths.unsqueeze(1)
        vl_features[:, 1::2] *= image_heights.unsqueeze(1)
        coords = vl_features.cpu().tolist()
    assert all(0 <= x <= 60 for row in coords for x in row[::2])
    assert all(0 <= y <= 90 for row in coords for y in row[1::2])

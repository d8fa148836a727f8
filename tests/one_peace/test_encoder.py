"""The encoder `one-peace`: searchkit's contract, branches on demand, and clips that stand alone."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from searchkit.encoders import open_encoder
from searchkit.encoders.one_peace import OnePeaceEncoder, load
from searchkit.errors import EncoderError, ModelNotFound
from searchkit.one_peace.convert import convert_checkpoint
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.weights import CheckpointWeights
from searchkit.testing import EncoderContract
from searchkit.types import AudioSample, Encoder, ImageSample, Modality, Sample, TextSample
from tests.one_peace.tiny import tiny_config, write_checkpoint


def sounds(*lengths: int) -> list[Sample]:
    random = np.random.default_rng(7)
    return [AudioSample(0.1 * random.standard_normal(n).astype(np.float32), 16_000) for n in lengths]


class TestContract(EncoderContract):
    tolerance: ClassVar[float] = 5e-6

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, folder: Path) -> None:
        cls.folder = folder

    def open_encoder(self) -> Encoder:
        return open_encoder("one-peace", self.folder)


class TestBfloat16Contract(TestContract):
    tolerance: ClassVar[float] = 2e-2

    def open_encoder(self) -> Encoder:
        return load(self.folder, dtype="bfloat16")


@pytest.fixture
def encoder(folder: Path) -> OnePeaceEncoder:
    return load(folder)


def test_a_clip_gets_in_any_batch_what_it_gets_alone(encoder: OnePeaceEncoder) -> None:
    samples = sounds(16_000, 18_000, 19_500, 60_000, 17_000)
    together = encoder.encode(samples)
    alone = np.concatenate([encoder.encode([sample]) for sample in samples])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_exact_mode_reproduces_the_original_in_its_batch(folder: Path, encoder: OnePeaceEncoder) -> None:
    samples = sounds(16_000, 60_000)
    exact = load(folder, exact=True)
    in_batch, alone = exact.encode(samples), encoder.encode(samples)
    np.testing.assert_allclose(in_batch[1], alone[1], atol=2e-6)
    assert np.abs(in_batch[0] - alone[0]).max() > 1e-3
    np.testing.assert_allclose(exact.encode(samples[:1])[0], alone[0], atol=2e-6)
    assert exact.space.fingerprint != encoder.space.fingerprint


def test_the_isolated_model_agrees_with_lone_clips_for_every_length(folder: Path) -> None:
    """The model itself, with much padding and even kernels of the positional convolutions as well."""
    for encoder_options in ({}, {"conv_pos_width": 12, "conv_pos_pre_ln": True}):
        config = tiny_config()
        config["model"]["encoder"]["audio_adapter"].update(encoder_options)
        model = write_checkpoint(folder.parent / "even.pt", config)
        random = torch.Generator().manual_seed(0)
        waveforms = torch.zeros(3, 48_000)
        masks = torch.ones(3, 150, dtype=torch.bool)
        frames = (49, 100, 149)
        for row, (length, count) in enumerate(zip((16_000, 32_123, 48_000), frames, strict=True)):
            waveforms[row, :length] = torch.randn(length, generator=random)
            masks[row, : count + 1] = False
        with torch.inference_mode():
            together = model("audio", src_audios=waveforms, audio_padding_masks=masks, isolate=True)
            for row, (length, count) in enumerate(zip((16_000, 32_123, 48_000), frames, strict=True)):
                alone = model(
                    "audio",
                    src_audios=waveforms[row : row + 1, :length],
                    audio_padding_masks=torch.zeros(1, count + 1, dtype=torch.bool),
                )
                torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=2e-6)


def test_a_text_loads_the_text_branch_and_what_is_shared(encoder: OnePeaceEncoder) -> None:
    encoder.encode([TextSample("a dog")])
    assert encoder.model.loaded == {"shared", "heads", "text"}
    encoder.encode([ImageSample(np.zeros((9, 9, 3), np.uint8))])
    assert encoder.model.loaded == {"shared", "heads", "text", "image"}
    encoder.drop(Modality.IMAGE)
    assert encoder.model.loaded == {"shared", "heads", "text"}
    encoder.close()
    assert not encoder.model.loaded
    assert encoder.encode([TextSample("a dog")]).shape == (1, 32)


def test_idle_branches_are_dropped(folder: Path) -> None:
    encoder = load(folder, idle_s=0.0)
    encoder.encode([TextSample("a dog")])
    encoder.encode(sounds(16_000))
    assert encoder.model.loaded == {"shared", "heads", "audio"}


def test_the_fingerprint_holds_everything_that_changes_vectors(tmp_path: Path, folder: Path) -> None:
    write_checkpoint(tmp_path / "other.pt", tiny_config(), seed=3)
    other = convert_checkpoint(tmp_path / "other.pt", tmp_path / "other")
    spaces = [
        load(folder).space,
        load(folder, dtype="bfloat16").space,
        load(folder, exact=True).space,
        load(other).space,
    ]
    assert len({space.fingerprint for space in spaces}) == len(spaces)
    assert load(folder).space == spaces[0]


def test_odd_samples_are_embedded(encoder: OnePeaceEncoder) -> None:
    silence = AudioSample(np.zeros(16_000, np.float32), 16_000)
    hour = AudioSample(np.tile(np.sin(np.arange(16_000, dtype=np.float32)), 40 * 60), 16_000)
    odd: list[Sample] = [
        TextSample(""),
        TextSample("word " * 3000),
        ImageSample(np.full((1, 1, 3), 7, np.uint8)),
        silence,
        AudioSample(np.ones(1, np.float32), 8_000),
        hour,
    ]
    rows = encoder.encode(odd)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    first = AudioSample(hour.waveform[: 15 * 16_000], 16_000)
    assert float(rows[5] @ encoder.encode([first])[0]) > 0.999


def test_a_model_for_classes_is_refused(tmp_path: Path) -> None:
    write_checkpoint(
        tmp_path / "c.pt",
        tiny_config("one_peace_classify", "audio", task={"num_classes": 3}, head_scale_ratio=2),
    )
    folder = convert_checkpoint(tmp_path / "c.pt", tmp_path / "c")
    with pytest.raises(EncoderError, match="3 classes"):
        load(folder)
    with pytest.raises(ModelNotFound):
        load(tmp_path / "nothing")


def test_a_checkpoint_opened_in_place_gives_the_same_vectors(
    checkpoint: Path, encoder: OnePeaceEncoder
) -> None:
    direct = OnePeaceEncoder(LazyModel(CheckpointWeights(checkpoint)), "x")
    samples: list[Sample] = [TextSample("a dog"), *sounds(20_000)]
    np.testing.assert_allclose(direct.encode(samples), encoder.encode(samples), atol=2e-6)


def test_int8_keeps_directions_and_stands_alone(folder: Path, encoder: OnePeaceEncoder) -> None:
    low = load(folder, device="cpu", dtype="int8")
    samples: list[Sample] = [
        TextSample("a dog"),
        *sounds(20_000, 23_000),
        TextSample("snow on a roof, at night"),
    ]
    rows = low.encode(samples)
    assert ((rows * encoder.encode(samples)).sum(1) > 0.99).all()
    alone = np.concatenate([low.encode([sample]) for sample in samples])
    np.testing.assert_allclose(rows, alone, atol=2e-2)
    low.drop(Modality.TEXT)
    assert low.model.loaded == {"shared", "heads", "audio"}
    np.testing.assert_allclose(low.encode(samples[:1]), rows[:1], atol=2e-2)
    assert low.space != encoder.space

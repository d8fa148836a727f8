"""Preprocessing beyond the recorded figures: odd input, limits, other dictionaries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searchkit.errors import CheckpointError, DecodeError, EncoderError
from searchkit.one_peace.config import parse_conv_spec
from searchkit.one_peace.pixels import normalise_pixels, open_picture, resize_picture
from searchkit.one_peace.tokenizer import TextTokenizer, tokenizer_json
from searchkit.one_peace.waveforms import open_sound, pad_waveforms, prepare_waveform, resample
from tests.one_peace.tiny import CONVOLUTIONS


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.built_in()


def test_texts_end_with_eos_and_are_cut(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode("") == [1437, 2]
    long = tokenizer.encode("dog " * 200)
    assert len(long) == 71
    assert long[-1] == 2
    batch = tokenizer.encode_batch(["dog", "a dog"])
    assert batch.tolist() == [[2335, 2, 1], [10, 2335, 2]]


def test_special_tokens_and_broken_unicode_are_plain_text(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode("</s>")[0] != 2
    assert tokenizer.encode("\ud800 dog")[-2:] == [2335, 2]


def test_no_text_is_an_error(tokenizer: TextTokenizer) -> None:
    with pytest.raises(EncoderError, match="empty list"):
        tokenizer.encode_batch([])


def test_words_past_a_smaller_dictionary_become_unknown() -> None:
    small = TextTokenizer.built_in(dictionary_size=1000)
    ids = small.encode("a dog supercalifragilistic")
    assert 3 in ids
    assert max(ids) < 1000


def test_other_bpe_files_are_read_and_wrong_ones_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\na b\n", encoding="utf-8")
    (tmp_path / "dict.txt").write_text("256 9\n64 5\n", encoding="utf-8")
    serialised, size = tokenizer_json(tmp_path)
    assert size == 6
    assert TextTokenizer(serialised, dictionary_size=size).encode("aba")[-2:] == [5, 2]
    (tmp_path / "vocab.bpe").write_text("#version\nalone\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="alone"):
        tokenizer_json(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        tokenizer_json(tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"not": "one"}))
    with pytest.raises(CheckpointError):
        TextTokenizer.from_file(tmp_path / "tokenizer.json", dictionary_size=6)


def test_a_picture_of_one_pixel_fills_the_square(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "dot.png")
    resized = resize_picture(open_picture(tmp_path / "dot.png"), 64)
    assert (resized == [10, 20, 30]).all()
    assert normalise_pixels([resized]).shape == (1, 3, 64, 64)


def test_files_that_are_no_media_are_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(b"no picture")
    with pytest.raises(DecodeError, match=r"wrong\.png"):
        open_picture(wrong)
    with pytest.raises(DecodeError, match=r"wrong\.png"):
        open_sound(wrong)
    with pytest.raises(DecodeError, match="missing"):
        open_sound(tmp_path / "missing.wav")


def test_silence_short_and_long_sounds() -> None:
    assert not prepare_waveform(np.zeros(20_000, np.float32)).any()
    assert prepare_waveform(np.ones(37, np.float32)).shape == (16_000,)
    forty_minutes = np.tile(np.sin(np.arange(16_000, dtype=np.float32)), 40 * 60)
    assert prepare_waveform(forty_minutes).shape == (240_000,)
    with pytest.raises(EncoderError, match="at least one sample"):
        prepare_waveform(np.zeros(0, np.float32))
    with pytest.raises(EncoderError, match="finite"):
        prepare_waveform(np.array([np.nan], np.float32))


def test_resampling_keeps_the_length_in_seconds() -> None:
    assert resample(np.zeros(44_100, np.float32), 44_100).shape == (16_000,)
    assert resample(np.zeros(11_026, np.float32), 11_025).shape == (16_002,)


def test_padding_masks_follow_the_frames() -> None:
    clips = [np.ones(16_000, np.float32), np.ones(24_000, np.float32)]
    waveforms, masks = pad_waveforms(clips, parse_conv_spec(CONVOLUTIONS))
    assert waveforms.shape == (2, 24_000)
    assert masks.shape == (2, 75)
    assert masks.sum(1).tolist() == [25, 0]
    assert not masks[:, 0].any()

import subprocess
import sys
import threading

import numpy as np
import pytest

from searchkit.encoders import open_encoder
from searchkit.encoders.mini import MiniEncoder, load
from searchkit.errors import EncoderError, ModalityUnsupported
from searchkit.types import AudioSample, ImageSample, Modality, Sample, TextSample


@pytest.fixture(scope="module")
def encoder() -> MiniEncoder:
    return load(threads=1)


def picture(seed: int, height: int = 90, width: int = 120) -> ImageSample:
    rng = np.random.default_rng(seed)
    return ImageSample(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def tone(hertz: float, seconds: float) -> AudioSample:
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    return AudioSample((0.3 * np.sin(2 * np.pi * hertz * time_s)).astype(np.float32), 16_000)


def mixed_batch() -> list[Sample]:
    return [
        TextSample("a dog barks"),
        picture(0),
        tone(440, 2.3),
        TextSample("x" * 4000),
        picture(1, 300, 40),
        tone(100, 0.4),
        TextSample("rain on the roof, " * 200),
    ]


def test_rows_are_unit_vectors_of_the_space(encoder: MiniEncoder) -> None:
    rows = encoder.encode(mixed_batch())
    assert rows.shape == (7, encoder.space.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_no_samples_give_no_rows(encoder: MiniEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.space.dim)


def test_a_vector_does_not_depend_on_its_neighbours(encoder: MiniEncoder) -> None:
    batch = mixed_batch()
    together = encoder.encode(batch)
    alone = np.concatenate([encoder.encode([sample]) for sample in batch])
    backwards = encoder.encode(batch[::-1])[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, backwards)


def test_several_threads_get_the_same_vectors(encoder: MiniEncoder) -> None:
    batch = mixed_batch()
    expected = encoder.encode(batch)
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(np.array_equal(encoder.encode(batch), expected)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_a_branch_loads_when_it_is_first_needed_and_can_be_closed() -> None:
    encoder = load()
    assert encoder.loaded == frozenset()
    before = encoder.encode([TextSample("a bell")])
    assert encoder.loaded == {Modality.TEXT}
    encoder.encode([picture(0)])
    assert encoder.loaded == {Modality.TEXT, Modality.IMAGE}
    encoder.close()
    assert encoder.loaded == frozenset()
    assert np.array_equal(encoder.encode([TextSample("a bell")]), before)


def test_a_text_needs_neither_torch_nor_pillow_and_importing_loads_no_runtime() -> None:
    code = """
import sys
from searchkit.encoders.mini import load
assert "onnxruntime" not in sys.modules and "tokenizers" not in sys.modules
from searchkit.types import TextSample
load().encode([TextSample("a dog")])
assert not {"torch", "soundfile", "av"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_table_of_encoders_opens_it() -> None:
    encoder = open_encoder("mini")
    assert encoder.modalities == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    assert encoder.audio_rate_hz == 16_000
    assert encoder.space == load().space


@pytest.mark.parametrize(
    "sample",
    [
        AudioSample(np.zeros(16_000, np.float32), 16_000),
        AudioSample(np.zeros(1, np.float32), 16_000),
        AudioSample(np.full(37, 0.5, np.float32), 16_000),
        AudioSample(np.full(20_000, 1e30, np.float32), 16_000),
        ImageSample(np.zeros((1, 1, 3), np.uint8)),
        ImageSample(np.full((1, 3000, 3), 255, np.uint8)),
        ImageSample(np.full((500, 2, 3), 7, np.uint8)),
        TextSample("?"),
        TextSample("\u200b"),
        TextSample("\U0001f436" * 3),
    ],
    ids=[
        "silence",
        "1 sample",
        "37 samples",
        "far too loud",
        "1 px",
        "a line",
        "a column",
        "?",
        "zero",
        "emoji",
    ],
)
def test_odd_samples_have_vectors_like_any_other(encoder: MiniEncoder, sample: Sample) -> None:
    (row,) = encoder.encode([sample])
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_text_is_an_error_that_says_so(encoder: MiniEncoder, text: str) -> None:
    with pytest.raises(EncoderError, match="empty text") as caught:
        encoder.encode([TextSample(text)])
    assert caught.value.hint


def test_sound_at_another_rate_is_an_error(encoder: MiniEncoder) -> None:
    with pytest.raises(EncoderError, match="44100"):
        encoder.encode([AudioSample(np.zeros(100, np.float32), 44_100)])


def test_something_else_is_not_a_sample(encoder: MiniEncoder) -> None:
    with pytest.raises(ModalityUnsupported, match="str"):
        encoder.encode(["a dog"])  # type: ignore[list-item]


def test_a_long_text_is_cut_and_a_long_sound_is_not(encoder: MiniEncoder) -> None:
    start = "rain " * 300
    cut, longer = encoder.encode([TextSample(start), TextSample(start + "a dog barks " * 50)])
    assert np.array_equal(cut, longer)
    quiet = np.zeros(16_000 * 90, np.float32)
    ends_loud = quiet.copy()
    ends_loud[-16_000:] = tone(900, 1.0).waveform
    silent, heard = encoder.encode([AudioSample(quiet, 16_000), AudioSample(ends_loud, 16_000)])
    assert float(silent @ heard) < 0.99


def test_an_empty_border_does_not_change_a_drawing(encoder: MiniEncoder) -> None:
    drawing = np.full((200, 200, 3), 255, np.uint8)
    drawing[40:160, 30:170] = picture(3, 120, 140).pixels
    bordered = np.full((500, 600, 3), 255, np.uint8)
    bordered[250:450, 10:210] = drawing
    rows = encoder.encode([ImageSample(drawing), ImageSample(bordered)])
    assert np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("dog", "a puppy", "a locomotive"),
        ("train", "steam locomotive", "a glass of wine"),
        ("church bells", "bell", "a horse"),
    ],
)
def test_words_lie_near_words_of_like_meaning(encoder: MiniEncoder, query: str, near: str, far: str) -> None:
    rows = encoder.encode([TextSample(query), TextSample(near), TextSample(far)])
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.1

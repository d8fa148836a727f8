"""Embedding is tested with a small real encoder: bags of letters, mean colours and loudness in one space."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import DecodeError, ModalityUnsupported, QueryError, UnknownId
from searchkit.query import audio, embed_query, image, parse, segment, text, video
from searchkit.types import AudioSample, ImageSample, Modality, Space, Span, TextSample

DIM = 8
AXES = np.eye(DIM, dtype=np.float32)
ALL = frozenset({Modality.TEXT, Modality.IMAGE, Modality.AUDIO})


class LetterEncoder:
    """Texts by the letters a to h, pictures by their first row's red values, sounds by their first values."""

    audio_rate_hz = 10
    space = Space("letters", "1", "none", DIM)

    def __init__(self, modalities=ALL):
        self.modalities = modalities
        self.calls = []

    def encode(self, samples):
        self.calls.append([sample.modality for sample in samples])
        rows = []
        for sample in samples:
            if isinstance(sample, TextSample):
                row = np.array([sample.text.count(letter) for letter in "abcdefgh"], dtype=np.float32)
            elif isinstance(sample, ImageSample):
                row = sample.pixels[0, :DIM, 0].astype(np.float32)
            else:
                row = np.bincount(sample.waveform.astype(int), minlength=DIM)[:DIM].astype(np.float32)
            rows.append(row / np.linalg.norm(row))
        return np.stack(rows)

    def close(self):
        pass


def picture(axis, span=None):
    pixels = np.zeros((1, DIM, 3), dtype=np.uint8)
    pixels[0, axis, 0] = 200
    return ImageSample(pixels, span)


def sound(*axes, start_s=None):
    """One second an axis, at 10 Hz."""
    waveform = np.repeat(np.array(axes, dtype=np.float32), 10)
    span = None if start_s is None else Span(start_s, start_s + len(axes))
    return AudioSample(waveform, 10, span)


FILES = {
    "one.jpg": [picture(1)],
    "two.wav": [sound(2)],
    "long.wav": [sound(2, start_s=0), sound(3, start_s=1)],
    "windows.wav": [sound(0, 1, 2, 3, start_s=0), sound(2, 3, 4, 5, start_s=2)],
    "clip.mp4": [picture(1, Span(0, 2)), picture(3, Span(2, 4)), sound(4, 4, 5, 5, start_s=0)],
    "empty.mp4": [],
}


@pytest.fixture
def folder(tmp_path):
    for name in (*FILES, "broken.wav"):
        (tmp_path / name).touch()
    return tmp_path


def load(path, modality):
    if path.name == "broken.wav":
        raise DecodeError(path, "not a sound")
    assert isinstance(modality, Modality)
    return FILES[path.name]


def fetch(segment_id):
    if segment_id >= DIM:
        raise UnknownId(f"no row {segment_id}")
    return AXES[segment_id]


def embed(query, encoder=None, **options):
    return embed_query(query, encoder or LetterEncoder(), load=load, fetch=fetch, **options)


def expect(vector, *axes):
    total = sum(weight * AXES[axis] for weight, axis in axes)
    np.testing.assert_allclose(vector, total / np.linalg.norm(total), atol=1e-6)


def test_terms_are_normalised_weighted_summed_normalised(folder):
    query = 2 * text("aaaa") + 0.5 * image(folder / "one.jpg") - audio(folder / "two.wav") + segment(5)
    embedded = embed(query)
    expect(embedded.vector, (2, 0), (0.5, 1), (-1, 2), (1, 5))
    assert embedded.vector.dtype == np.float32
    np.testing.assert_allclose(embedded.term_vectors, AXES[[0, 1, 2, 5]], atol=1e-6)
    assert embedded.weights == (2, 0.5, -1, 1)
    assert embedded.query is query


def test_everything_goes_through_one_call(folder):
    encoder = LetterEncoder()
    embed(text("a") + image(folder / "one.jpg") + text("b") + segment(3), encoder, templates=("{}", "c {}"))
    assert [len(call) for call in encoder.calls] == [5]


def test_a_query_of_stored_segments_needs_no_encoder():
    encoder = LetterEncoder()
    expect(embed(segment(3) - segment(4), encoder).vector, (1, 3), (-1, 4))
    assert encoder.calls == []


def test_windows_of_a_long_sound_average(folder):
    expect(embed(audio(folder / "long.wav")).vector, (1, 2), (1, 3))


def test_a_span_of_a_sound_cuts_its_windows(folder):
    expect(embed(audio(folder / "windows.wav", 0, 1)).vector, (1, 0))
    expect(embed(audio(folder / "windows.wav", 5)).vector, (1, 5))
    expect(embed(audio(folder / "windows.wav", 3, 4)).vector, (1, 3))
    expect(embed(audio(folder / "two.wav", 0.5, 1)).vector, (1, 2))


def test_a_video_is_its_frames_plus_its_sound(folder):
    half = np.sqrt(0.5)
    expect(embed(video(folder / "clip.mp4")).vector, (half, 1), (half, 3), (half, 4), (half, 5))
    expect(embed(video(folder / "clip.mp4", 2.5)).vector, (1, 3), (1, 5))
    silent = LetterEncoder(frozenset({Modality.TEXT, Modality.IMAGE}))
    expect(embed(video(folder / "clip.mp4"), silent).vector, (1, 1), (1, 3))


def test_prompts_average_and_braces_in_words_stay(folder):
    half = np.sqrt(0.5)
    prompted = embed(text("a"), templates=("{}", "b {}", "{} c"))
    expect(prompted.vector, (1 + 2 * half, 0), (half, 1), (half, 2))
    expect(embed(text("{a} {}")).vector, (1, 0))
    for templates in ((), ("a photo",)):
        with pytest.raises(QueryError, match="prompt"):
            embed(text("a"), templates=templates)


def test_centring_subtracts_the_mean_of_the_terms_modality(folder):
    centers = {Modality.TEXT: 0.5 * AXES[7], Modality.IMAGE: 0.25 * AXES[1]}
    expect(embed(text("a"), centers=centers).vector, (1, 0), (-0.5, 7))
    expect(embed(image(folder / "one.jpg"), centers=centers).vector, (1, 1))
    expect(embed(audio(folder / "two.wav"), centers=centers).vector, (1, 2))
    expect(embed(segment(0), centers=centers).vector, (1, 0))
    expect(embed(segment(0), centers=centers, modality_of=lambda _: Modality.TEXT).vector, (1, 0), (-0.5, 7))
    with pytest.raises(QueryError, match="mean of all text"):
        embed(text("a"), centers={Modality.TEXT: AXES[0]})


weights = st.integers(-9, 9).map(float)


@given(st.lists(weights, min_size=3, max_size=3).filter(any), st.floats(1e-300, 1e300))
def test_only_the_ratio_of_weights_matters_and_contributions_add_up(three, factor):
    a, b, c = three
    query = a * text("aab") + b * text("bcc") + c * text("dda")
    embedded = embed(query)
    assert np.linalg.norm(embedded.vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(embed(query * factor).vector, embedded.vector, atol=1e-6)
    candidate = np.full(DIM, DIM**-0.5, dtype=np.float32)
    contributions = embedded.contributions(candidate)
    assert contributions.shape == (3,)
    assert contributions.sum() == pytest.approx(float(embedded.vector @ candidate), abs=1e-5)


@pytest.mark.parametrize(
    "source",
    [
        "a - a",
        "0*a",
        "a + b - 2*(0.5*a + 0.5*b)",
        "0.1*a + 0.7*a - 0.8*a",
        "3*(abc + id:0) - 0.1*(abc + id:0) - 2.9*(id:0 + abc)",
    ],
)
def test_terms_that_cancel_out_are_an_error(source):
    with pytest.raises(QueryError, match=r"cancel out|every weight is zero"):
        embed(parse(source))


def test_a_missing_file_is_named_with_what_to_type(folder):
    with pytest.raises(QueryError, match=r"no such file: .*nowhere\.jpg") as caught:
        embed(text("a") + image(folder / "nowhere.jpg"))
    assert caught.value.hint
    with pytest.raises(QueryError, match="is a folder"):
        embed(image(folder))


def test_what_the_model_lacks_is_said_before_any_work(folder):
    encoder = LetterEncoder(frozenset({Modality.TEXT}))
    for query in (audio(folder / "two.wav"), image(folder / "one.jpg"), video(folder / "clip.mp4")):
        with pytest.raises(ModalityUnsupported, match="'letters' cannot embed") as caught:
            embed(text("a") + query, encoder)
        assert "text" in caught.value.hint
    assert encoder.calls == []


def test_unknown_segments_broken_and_empty_files_are_errors(folder):
    with pytest.raises(QueryError, match="no segment 99"):
        embed(segment(99))
    with pytest.raises(DecodeError, match=r"broken\.wav"):
        embed(audio(folder / "broken.wav"))
    with pytest.raises(QueryError, match="nothing to embed"):
        embed(video(folder / "empty.mp4"))
    with pytest.raises(QueryError, match="nothing to embed"):
        embed(audio(folder / "two.wav", 100, 200))


def test_bytes_that_are_no_text_still_embed():
    assert embed(text("a\udcff")).vector.shape == (DIM,)


def test_a_relative_path_is_looked_up_from_here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    expect(embed(parse("image:one.jpg")).vector, (1, 1))
    assert not Path("one.jpg").is_absolute()

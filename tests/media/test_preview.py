"""Previews of files: pictures, frames at a time, and loudness over time."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from searchkit.preview import in_sequence, loudness, peaks_of, picture_of
from searchkit.types import AudioSample, Modality, Span

RATE_HZ = 8000


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """40 seconds of silence with one loud second at 35 s."""
    wave = np.zeros(40 * RATE_HZ, np.float32)
    wave[35 * RATE_HZ : 36 * RATE_HZ] = 0.5
    path = tmp_path_factory.mktemp("preview") / "late.wav"
    soundfile.write(path, wave, RATE_HZ)
    return path


def test_loudness_is_where_it_is_heard_though_the_last_windows_overlap(sound):
    assert np.flatnonzero(peaks_of(sound, None, 40) > 0.5).tolist() == [35]
    assert np.flatnonzero(peaks_of(sound, Span(30, 40), 10) > 0.5).tolist() == [5]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(4, 9)), min_size=1, max_size=5))
def test_windows_in_sequence_hold_every_value_once(steps):
    start, samples, length = 0, [], 0
    for back, count in steps:
        start = max(0, length - back)
        values = np.arange(start, start + count, dtype=np.float32)
        samples.append(AudioSample(values, 1, Span(start, start + count)))
        length = start + count
    joined = np.concatenate([wave for _, wave in in_sequence(samples)])
    assert joined.tolist() == list(range(length))


@given(st.integers(1, 50), st.integers(1, 60))
def test_loudness_has_as_many_bins_as_asked(length, bins):
    shown = loudness(np.linspace(0, 1, length, dtype=np.float32), bins)
    assert shown.shape == (bins,)
    assert 0 <= shown.min() <= shown.max() <= 1


def test_a_video_shows_the_frame_at_the_start_of_its_span(sample_media):
    video = sample_media / "videos" / "dog_then_bell.webm"
    first = picture_of(video, Modality.VIDEO, None, 64)
    later = picture_of(video, Modality.VIDEO, Span(6.0, 7.0), 64)
    assert max(first.size) == max(later.size) == 64
    assert np.abs(np.asarray(first).astype(int) - np.asarray(later)).mean() > 20


def test_what_cannot_be_read_has_no_preview(sample_media, tmp_path):
    broken = sample_media / "broken"
    assert picture_of(broken / "truncated.jpg", Modality.IMAGE, None, 64) is None
    assert picture_of(tmp_path / "gone.jpg", Modality.IMAGE, None, 64) is None
    assert peaks_of(broken / "truncated.wav", None, 12) is None

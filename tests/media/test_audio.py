from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from searchkit.errors import DecodeError
from searchkit.media import DecodeSettings, open_media
from searchkit.types import AudioSample, Modality

from .making import noise, tone, write_encoded_sound, write_sound


def decode(path: Path, settings: DecodeSettings | None = None) -> list[AudioSample]:
    decoded = open_media(path, settings or DecodeSettings())
    assert decoded.media_type.modality is Modality.AUDIO
    samples = list(decoded.samples)
    for sample in samples:
        assert isinstance(sample, AudioSample)
        assert sample.rate_hz == 16_000
    return samples  # type: ignore[return-value]


def resample(signal: np.ndarray, rate_hz: int) -> np.ndarray:
    """The whole at once, as librosa does it: soxr, and a last sample that is only begun is a zero."""
    whole = soxr.resample(signal, rate_hz, 16_000, quality="HQ")
    return np.pad(whole, (0, math.ceil(len(signal) * (16_000 / rate_hz)) - len(whole)))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_short_sound_is_one_sample_resampled_as_a_whole(
    tmp_path: Path, rate_hz: int, channels: int
) -> None:
    signal = noise(round(rate_hz * 2.3) * channels).reshape(-1, channels)
    path = write_sound(tmp_path / "a.wav", signal, rate_hz, "FLOAT")
    (sample,) = decode(path)
    expected = resample(signal.mean(axis=1), rate_hz)
    assert sample.span is None
    np.testing.assert_allclose(sample.waveform, expected, atol=1e-7)
    facts = open_media(path).facts
    assert (facts.rate_hz, facts.channels) == (rate_hz, channels)
    assert facts.duration_s == pytest.approx(2.3, abs=1e-3)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("seconds", [15.0, 15.5, 25.0, 40.0, 61.3])
def test_a_long_sound_is_overlapping_windows_that_cover_it(
    tmp_path: Path, rate_hz: int, seconds: float
) -> None:
    signal = noise(round(seconds * rate_hz))
    samples = decode(write_sound(tmp_path / "a.wav", signal, rate_hz, "FLOAT"))
    whole = resample(signal, rate_hz)
    if seconds == 15.0:
        assert [sample.span for sample in samples] == [None]
        return
    end_s = 0.0
    for sample in samples:
        assert sample.span is not None
        assert sample.span.start_s <= max(0.0, end_s - 5.0)
        assert sample.span.duration_s == pytest.approx(15)
        first = round(sample.span.start_s * 16_000)
        np.testing.assert_allclose(sample.waveform, whole[first : first + 240_000], atol=1e-6)
        end_s = sample.span.end_s
    assert end_s == pytest.approx(len(whole) / 16_000)


@pytest.mark.parametrize(
    ("extension", "subtype"),
    [
        ("flac", None),
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("mp3", None),
        ("aiff", None),
        ("au", None),
        ("caf", None),
    ]
    + [("wav", subtype) for subtype in ("PCM_U8", "PCM_24", "PCM_32", "DOUBLE", "ULAW", "IMA_ADPCM")],
)
def test_formats_of_libsndfile(tmp_path: Path, extension: str, subtype: str | None) -> None:
    path = write_sound(tmp_path / f"a.{extension}", tone(1.5, 48_000), 48_000, subtype)
    assert_tone(decode(path), 1.5)


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.m4a", "aac", "ipod"),
        ("a.mp4", "aac", "mp4"),
        ("a.aac", "aac", "adts"),
        ("a.wma", "wmav2", "asf"),
        ("a.opus", "libopus", "opus"),
        ("a.webm", "libopus", "webm"),
        ("a.mka", "flac", "matroska"),
        ("a.ac3", "ac3", "ac3"),
        ("a.mov", "alac", "mov"),
        ("a.tta", "tta", "tta"),
        ("a.wv", "wavpack", "wv"),
        ("a.ts", "mp2", "mpegts"),
    ],
)
def test_formats_of_ffmpeg(tmp_path: Path, name: str, codec: str, container: str) -> None:
    path = write_encoded_sound(tmp_path / name, codec, tone(1.5, 48_000)[:, 0], 48_000, container)
    assert_tone(decode(path), 1.5)


def assert_tone(samples: list[AudioSample], seconds: float, hz: float = 440.0) -> None:
    (sample,) = samples
    assert sample.duration_s == pytest.approx(seconds, abs=0.12)
    middle = sample.waveform[4_000:20_000]
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(hz * len(middle) / 16_000, abs=2)
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.4 / np.sqrt(2), abs=0.03)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "noextension", "a.raw", "a.mp4", "a.txt"):
        soundfile.write(tmp_path / name, tone(0.5, 16_000), 16_000, format="FLAC")
        assert open_media(tmp_path / name).media_type.mime == "audio/flac"
        assert len(decode(tmp_path / name)) == 1


def test_ten_hours_stream_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 100, 1, "PCM_U8") as file:
        for _ in range(10):
            file.write(np.zeros(360_000, np.float32))
    with pytest.raises(DecodeError, match="plays for 10:00:00, longer than the limit of 6:00:00"):
        open_media(path)
    decoded = open_media(path, DecodeSettings(audio_rate_hz=100, max_seconds=11 * 3600))
    assert decoded.facts.duration_s == pytest.approx(36_000)
    count, end_s = 0, 0.0
    samples: Iterator[object] = decoded.samples
    for sample in samples:
        assert isinstance(sample, AudioSample)
        assert sample.span is not None
        count, end_s = count + 1, sample.span.end_s
    assert end_s == pytest.approx(36_000)
    assert count == 3600


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    signal = noise(32_000)
    signal[20_000] = np.nan
    with pytest.raises(DecodeError, match=r"NaN or infinity\) at 1\.25 s"):
        decode(write_sound(tmp_path / "nan.wav", signal, 16_000, "FLOAT"))


def test_no_sound_at_all_is_refused(tmp_path: Path) -> None:
    for extension in ("wav", "flac"):
        with pytest.raises(DecodeError, match=r"no sound|the file is empty"):
            decode(write_sound(tmp_path / f"none.{extension}", np.zeros((0, 1), np.float32), 16_000))


@pytest.mark.parametrize("name", ["cut.wav", "cut.flac", "cut.m4a"])
def test_a_sound_cut_off_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "cut.m4a":
        write_encoded_sound(path, "aac", noise(160_000), 16_000, "ipod")
    else:
        write_sound(path, noise(160_000), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DecodeError, match="cut off"):
        decode(path)


def test_a_limit_on_length_is_kept(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(16_000 * 4), 16_000)
    with pytest.raises(DecodeError, match="longer than the limit") as caught:
        open_media(path, DecodeSettings(max_seconds=3))
    assert "max_seconds" in caught.value.hint


def test_waveforms_equal_the_recorded_ones_of_the_reference(shared: Path) -> None:
    recorded = shared / "golden" / "3_preprocessing"
    expected = np.load(recorded / "expected_audio.npz")
    names = json.loads((recorded / "audio.json").read_text())["lengths"]
    for name in names:
        (sample,) = decode(recorded / "audio" / name, DecodeSettings(audio_window_s=120))
        waveform = sample.waveform.astype(np.float64)
        # What the reference's encoder does next: layer norm, cut to 15 s, short ones repeated to 1 s.
        waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-5)
        waveform = waveform[: 15 * 16_000]
        if len(waveform) < 16_000:
            waveform = np.tile(waveform, -(-16_000 // len(waveform)))[:16_000]
        assert waveform.shape == expected[name].shape, name
        np.testing.assert_allclose(waveform, expected[name], atol=2e-5, err_msg=name)

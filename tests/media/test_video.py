from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from searchkit.errors import DecodeError
from searchkit.media import Decoded, DecodeSettings, open_media
from searchkit.types import AudioSample, ImageSample, Modality

from .making import COLOURS, turn_video, write_video


def split(decoded: Decoded) -> tuple[list[ImageSample], list[AudioSample]]:
    assert decoded.media_type.modality is Modality.VIDEO
    samples = list(decoded.samples)
    frames = [sample for sample in samples if isinstance(sample, ImageSample)]
    sounds = [sample for sample in samples if isinstance(sample, AudioSample)]
    assert samples == [*frames, *sounds]
    return frames, sounds


def assert_tiled(frames: list[ImageSample], duration_s: float | None) -> None:
    assert duration_s is not None
    assert frames[0].span is not None
    assert frames[0].span.start_s == 0
    for before, after in itertools.pairwise(frames):
        assert before.span is not None
        assert after.span is not None
        assert before.span.end_s == after.span.start_s
    assert frames[-1].span is not None
    assert frames[-1].span.end_s == pytest.approx(duration_s, abs=0.01)


def scene(frame: ImageSample) -> int:
    middle = frame.pixels[frame.pixels.shape[0] // 2, frame.pixels.shape[1] // 2].astype(int)
    return int(np.argmin([np.abs(middle - colour).sum() for colour in np.array(COLOURS)]))


@pytest.mark.parametrize(
    ("name", "codec", "sound", "mime"),
    [
        ("a.mp4", "libx264", "aac", "video/mp4"),
        ("a.mkv", "libx264", "aac", "video/x-matroska"),
        ("a.webm", "libvpx", "libopus", "video/webm"),
        ("a.avi", "mpeg4", "mp3", "video/x-msvideo"),
        ("a.mov", "libx264", "aac", "video/quicktime"),
        ("a.ts", "libx264", "aac", "video/mp2t"),
        ("a.mpg", "mpeg2video", "mp2", "video/mpeg"),
        ("a.flv", "libx264", "aac", "video/x-flv"),
    ],
)
def test_every_scene_gives_a_frame_and_the_sound_is_heard(
    tmp_path: Path, name: str, codec: str, sound: str, mime: str
) -> None:
    fps = 25 if codec == "mpeg2video" else 10
    path = write_video(tmp_path / name, [3.0, 3.0, 3.0], codec=codec, sound=sound, fps=fps)
    decoded = open_media(path)
    frames, sounds = split(decoded)
    assert decoded.media_type.mime == mime
    assert (decoded.facts.width_px, decoded.facts.height_px) == (64, 48)
    assert decoded.facts.duration_s == pytest.approx(9, abs=0.3)
    assert_tiled(frames, decoded.facts.duration_s)
    assert list(dict.fromkeys(map(scene, frames))) == [0, 1, 2]
    for frame in frames:
        assert frame.span is not None
        # AVI puts each frame a step late.
        assert scene(frame) in {int((frame.span.start_s + late_s) // 3) for late_s in (0.2, -0.11)}
    (whole,) = sounds
    assert whole.span is not None
    assert whole.span.start_s == pytest.approx(0, abs=0.1)
    assert whole.duration_s == pytest.approx(9, abs=0.2)
    middle = whole.waveform[16_000:112_000]
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(440 * 6, abs=5)


@pytest.mark.parametrize("seconds", [12.0, 90.0])
def test_frames_keep_to_floor_and_ceiling(tmp_path: Path, seconds: float) -> None:
    still = write_video(tmp_path / "still.mp4", [seconds], sound=None, gop=120)
    wild = write_video(tmp_path / "wild.mp4", [1.0] * int(seconds), sound=None, gop=5)
    settings = DecodeSettings(video_frame_interval_s=5, video_min_frames=4, video_max_frames=24)
    few, _ = split(open_media(still, settings))
    many, _ = split(open_media(wild, settings))
    assert_tiled(few, seconds)
    assert_tiled(many, seconds)
    assert 4 <= len(few) <= 24
    assert all(frame.span is not None and frame.span.duration_s <= 10 for frame in few)
    assert len(few) < len(many) <= 24
    # Cuts early in a film do not use up what its end needs.
    assert (
        sum(frame.span is not None and frame.span.start_s >= seconds / 2 for frame in many) >= len(many) // 3
    )


def test_a_long_video_gives_each_scene_at_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [20.0, 7.0, 13.0, 30.0, 10.0], sound=None, gop=20)
    frames, sounds = split(open_media(path))
    assert sounds == []
    assert_tiled(frames, 80.0)
    cuts = np.cumsum([20, 7, 13, 30, 10])
    assert {scene(frame) for frame in frames} == {0, 1, 2, 3, 4}
    for frame in frames:
        assert frame.span is not None
        assert scene(frame) == np.searchsorted(cuts, frame.span.start_s + 0.05, side="right")


def test_the_sound_of_a_long_video_is_windows_on_its_clock(tmp_path: Path) -> None:
    decoded = open_media(write_video(tmp_path / "a.mp4", [40.0]))
    _, sounds = split(decoded)
    spans = [sound.span for sound in sounds]
    assert [round(span.start_s) for span in spans if span] == [0, 10, 20, 25]
    assert decoded.facts.rate_hz == 48_000


def test_rotation_is_undone(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [1.0], sound=None)
    turn_video(path)
    decoded = open_media(path)
    assert (decoded.facts.width_px, decoded.facts.height_px) == (48, 64)
    assert split(decoded)[0][0].pixels.shape == (64, 48, 3)


def test_oblong_pixels_are_shown_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [1.0], sound=None, size=(72, 48), pixel_aspect=Fraction(4, 3))
    decoded = open_media(path)
    assert (decoded.facts.width_px, decoded.facts.height_px) == (96, 48)
    assert split(decoded)[0][0].pixels.shape == (48, 96, 3)


def test_a_last_picture_that_stays_is_no_cut(tmp_path: Path) -> None:
    # As screens are recorded: a picture only when something changes.
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in (0, 5, 7, 500):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 251, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    decoded = open_media(path)
    assert_tiled(split(decoded)[0], decoded.facts.duration_s)


def test_frames_are_made_no_bigger_than_asked(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [1.0], sound=None, size=(320, 240))
    assert split(open_media(path, DecodeSettings(image_max_side_px=120)))[0][0].pixels.shape == (120, 160, 3)
    assert split(open_media(path, DecodeSettings(image_max_side_px=None)))[0][0].pixels.shape == (240, 320, 3)


def test_a_recording_without_a_length_is_measured(tmp_path: Path) -> None:
    # As browsers record: the length is written at the end of a recording, which a live one never reaches.
    path = write_video(tmp_path / "a.webm", [2.0, 2.0], codec="libvpx", sound=None, options={"live": "1"})
    decoded = open_media(path)
    frames, _ = split(decoded)
    assert_tiled(frames, 4.0)
    assert {scene(frame) for frame in frames} == {0, 1}


def test_title_time_and_place_are_read(tmp_path: Path) -> None:
    tags = {
        "title": "Harbour",
        "creation_time": "2023-05-06T07:08:09.000000Z",
        "location": "+59.9139+010.7522/",
    }
    path = write_video(
        tmp_path / "a.mov", [1.0], sound=None, tags=tags, options={"movflags": "use_metadata_tags"}
    )
    facts = open_media(path).facts
    assert facts.title == "Harbour"
    assert facts.taken_at == "2023-05-06T07:08:09+00:00"
    assert facts.latitude == pytest.approx(59.9139)
    assert facts.longitude == pytest.approx(10.7522)


@pytest.mark.parametrize("name", ["cut.mp4", "cut_at_the_front.mp4", "cut.mkv"])
@pytest.mark.parametrize("seconds", [9.0, 60.0])
def test_a_video_cut_off_is_an_error(tmp_path: Path, name: str, seconds: float) -> None:
    options = {"movflags": "faststart"} if "front" in name else {}
    path = write_video(tmp_path / name, [seconds], options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(DecodeError, match="cut off"):
        list(open_media(path).samples)


def test_pictures_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [1.0], sound=None)
    with pytest.raises(DecodeError, match="limit"):
        open_media(path, DecodeSettings(max_pixels=3_000))
    with pytest.raises(DecodeError, match="longer than the limit"):
        open_media(path, DecodeSettings(max_seconds=0.5))

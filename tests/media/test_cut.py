from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from PIL import Image

from searchkit.media.cut import missing_bytes

from .making import noise, write_sound, write_video


def missing(path: Path) -> int:
    with path.open("rb") as file:
        return missing_bytes(file)


@pytest.mark.parametrize("name", ["a.wav", "a.avi", "a.mp4", "a.mov", "a.mkv", "a.webm", "fragments.mp4"])
@pytest.mark.parametrize("cut", [1, 1000])
def test_what_is_missing_is_counted(tmp_path: Path, name: str, cut: int) -> None:
    path = tmp_path / name
    if path.suffix == ".wav":
        write_sound(path, noise(8000), 16_000)
    else:
        codec, sound = {".webm": ("libvpx", "libopus"), ".avi": ("mpeg4", "mp3")}.get(
            path.suffix, ("libx264", "aac")
        )
        options = {"movflags": "frag_keyframe+empty_moov"} if name == "fragments.mp4" else {}
        write_video(path, [2.0], codec=codec, sound=sound, options=options)
    assert missing(path) == 0
    content = path.read_bytes()
    path.write_bytes(content + b"something behind it")
    assert missing(path) == 0
    # An AVI ends with an index, which is not looked at.
    index = len(content) - content.rindex(b"idx1") if path.suffix == ".avi" else 0
    path.write_bytes(content[: len(content) - index - cut])
    # A last element that is gone altogether leaves no trace.
    assert 0 < missing(path) <= cut


def test_recordings_of_unknown_length_lack_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.webm", [1.0], codec="libvpx", sound=None, options={"live": "1"})
    assert missing(path) == 0
    wav = bytearray(write_sound(tmp_path / "a.wav", noise(8000), 16_000).read_bytes())
    at = wav.index(b"data") + 4
    wav[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(wav)
    assert missing(tmp_path / "a.wav") == 0
    assert soundfile.info(tmp_path / "a.wav").frames == 8000


def test_other_formats_are_left_to_their_decoders(tmp_path: Path) -> None:
    Image.new("RGB", (90, 90)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    assert missing(tmp_path / "a.png") == 0

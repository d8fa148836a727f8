"""Every bad file is a DecodeError with a reason, whatever is wrong with it."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from searchkit.errors import DecodeError
from searchkit.media import DecodeSettings, looks_like_media, open_media, sniff

from .making import noise, png_header, tone, write_encoded_sound, write_sound, write_video


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.with_suffix(".b"))
    path.with_suffix(".b").symlink_to(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def _text_bomb(path: Path) -> None:
    """A PNG with 20 MB of comment in a few kB."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 20_000_000, zip=True)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)


def _mp3_noise(path: Path) -> None:
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x0a" + np.random.default_rng(0).bytes(20_000))


def _nan(path: Path) -> None:
    write_sound(path, np.full(1000, np.nan, np.float32), 16_000, "FLOAT")


def _zero_rate(path: Path) -> None:
    write_sound(path, noise(1000), 16_000)
    data = bytearray(path.read_bytes())
    data[24:28] = bytes(4)
    path.write_bytes(data)


def _cut(write: Callable[[Path], object], part: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    return make


def _scrambled(write: Callable[[Path], object]) -> Callable[[Path], None]:
    """The header is whole, the rest is noise."""

    def make(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        keep = min(len(data) // 4, 600)
        path.write_bytes(data[:keep] + np.random.default_rng(1).bytes(len(data) - keep))

    return make


def _picture(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)).save(path)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty picture": ("a.jpg", Path.touch, "the file is empty"),
    "empty text": ("a.txt", Path.touch, "the file is empty"),
    "zeros": ("a.mp4", lambda path: path.write_bytes(bytes(4096)), "nothing but zeros"),
    "noise": (
        "a.png",
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
        "no known format",
    ),
    "text for a picture": ("a.jpg", lambda path: path.write_text("Not found"), "it holds text, not an image"),
    "text for a sound": ("a.mp3", lambda path: path.write_text("Not found"), "it holds text, not a sound"),
    "picture cut off": ("a.jpg", _cut(_picture, 0.5), "cut off"),
    "picture after its header": ("a.png", _cut(_picture, 0.01), "damaged"),
    "picture scrambled": ("a.png", _scrambled(_picture), "damaged"),
    "50,000 x 50,000 pixels": (
        "a.png",
        lambda path: path.write_bytes(png_header(50_000, 50_000)),
        "2,500 million pixels, more than the limit",
    ),
    "no pixels": ("a.png", lambda path: path.write_bytes(png_header(0, 10)), "damaged"),
    "text bomb": ("a.png", _text_bomb, "damaged"),
    "gzip named as a picture": (
        "a.png",
        lambda path: path.write_bytes(zlib.compress(b"x" * 100)),
        "known format",
    ),
    "sound of zero samples": (
        "a.wav",
        lambda path: write_sound(path, np.zeros((0, 1), np.float32), 16_000),
        "it holds no sound",
    ),
    "not a number": ("a.wav", _nan, "no numbers"),
    "a rate of zero": ("a.wav", _zero_rate, "."),
    "sound cut off": ("a.wav", _cut(lambda path: write_sound(path, noise(16_000), 16_000), 0.5), "cut off"),
    "sound of noise": ("a.mp3", _mp3_noise, "."),
    "sound scrambled": (
        "a.flac",
        _scrambled(lambda path: write_sound(path, noise(99_000), 16_000)),
        "damaged",
    ),
    "song without its index": (
        "a.m4a",
        _cut(lambda path: write_encoded_sound(path, "aac", noise(99_000), 16_000, "ipod"), 0.5),
        "cut off",
    ),
    "video without its index": ("a.mp4", _cut(lambda path: write_video(path, [2.0]), 0.5), "cut off"),
    "video scrambled": ("a.mkv", _scrambled(lambda path: write_video(path, [9.0])), "damaged|cut off"),
    "only a header": ("a.mp4", lambda path: path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(12)), "damaged"),
    "a bad PDF": ("a.pdf", lambda path: path.write_bytes(b"%PDF-1.4\n" + b"x" * 99), "damaged|pypdf"),
    "a pipe": ("a.wav", _fifo, "named pipe"),
    "a socket": ("a.wav", _socket, "socket"),
    "links in a circle": ("a.jpg", _loop, "circle"),
    "a link to nothing": ("a.jpg", lambda path: path.symlink_to("gone"), "no such file"),
    "a folder": ("a.jpg", Path.mkdir, "folder"),
    "nothing": ("a.jpg", lambda path: None, "no such file"),
    "a name too long": ("x" * 5000 + ".jpg", lambda path: None, "name is too long"),
    "a zero in the name": ("a\0.jpg", lambda path: None, "zero byte"),
}


@pytest.mark.parametrize("case", BAD)
def test_each_bad_file_has_a_reason(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, make, reason = BAD[case]
    path = tmp_path / name
    make(path)
    assert looks_like_media(path)
    with pytest.raises(DecodeError, match=reason) as caught:
        list(open_media(path).samples)
    assert caught.value.path == path
    assert len(caught.value.reason) < 300
    assert "\n" not in caught.value.reason
    assert str(tmp_path) not in caught.value.reason
    assert capfd.readouterr() == ("", "")


def test_a_device_is_not_opened() -> None:
    with pytest.raises(DecodeError, match="a device"):
        sniff("/dev/zero")


def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    _picture(path)
    path.chmod(0)
    # The superuser may read everything, and so becomes somebody else for a moment.
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(DecodeError, match="permission denied"):
            open_media(path)
    finally:
        os.seteuid(user)


GOOD: dict[str, Callable[[Path], object]] = {
    "a.png": _picture,
    "a.jpg": _picture,
    "a.gif": _picture,
    "a.webp": _picture,
    "a.tiff": _picture,
    "a.wav": lambda path: write_sound(path, noise(9_000), 16_000),
    "a.flac": lambda path: write_sound(path, noise(9_000), 16_000),
    "a.ogg": lambda path: write_sound(path, noise(9_000), 16_000),
    "a.mp3": lambda path: write_sound(path, noise(9_000), 16_000),
    "a.m4a": lambda path: write_encoded_sound(path, "aac", noise(9_000), 16_000, "ipod"),
    "a.mp4": lambda path: write_video(path, [1.0, 1.0]),
    "a.mkv": lambda path: write_video(path, [1.0, 1.0]),
    "a.srt": lambda path: path.write_text("1\n00:00:01,000 --> 00:00:02,000\nA dog\n"),
    "a.html": lambda path: path.write_text("<html><title>t</title><body><p>A <b>dog</b></p></body>"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    for name, make in GOOD.items():
        make(folder / name)
    return folder


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_an_error_or_nothing(
    name: str, good: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray((good / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(patch)] = patch
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content))) :]
    path = tmp_path / name
    path.write_bytes(content)
    with contextlib.suppress(DecodeError):
        list(open_media(path, DecodeSettings(max_pixels=4_000_000, max_seconds=600)).samples)


def test_no_file_stays_open(tmp_path: Path) -> None:
    paths = []
    for name, make in GOOD.items():
        paths.append(tmp_path / name)
        make(paths[-1])
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    (tmp_path / "bad.png").write_bytes(png_header(50_000, 50_000))
    (tmp_path / "bad.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    paths += [tmp_path / "bad.png", tmp_path / "bad.wav"]

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0

    def read() -> None:
        for path in paths:
            with contextlib.suppress(DecodeError):
                decoded = open_media(path)
                next(decoded.samples)
                # Samples are given up halfway, or never asked for.
                del decoded
                open_media(path)

    read()
    gc.collect()  # what other tests have left would be closed at any moment
    before = open_files()
    for _ in range(3):
        read()
    assert open_files() <= before


READ_ALL = """
import contextlib, sys
from searchkit.errors import DecodeError
from searchkit.media import open_media
for path in sys.argv[1:]:
    with contextlib.suppress(DecodeError):
        list(open_media(path).samples)
"""


def test_nothing_is_printed(tmp_path: Path) -> None:
    """Run apart from the test runner, so that what C libraries write is seen as well."""
    _mp3_noise(tmp_path / "noise.mp3")
    soundfile.write(tmp_path / "a.mp3", tone(1, 16_000), 16_000)
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = np.random.default_rng(3).bytes(200)
    (tmp_path / "scratched.mp3").write_bytes(content)
    _scrambled(lambda path: write_video(path, [9.0]))(tmp_path / "a.mkv")
    command = [sys.executable, "-W", "error", "-c", READ_ALL, *map(str, tmp_path.iterdir())]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")

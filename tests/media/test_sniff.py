from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searchkit.errors import DecodeError
from searchkit.media import looks_like_media, open_media, sniff
from searchkit.types import Modality

from .making import write_video


def test_what_is_no_media_is_none(tmp_path: Path) -> None:
    (tmp_path / "random.bin").write_bytes(np.random.default_rng(0).bytes(10_000))
    (tmp_path / "empty").touch()
    (tmp_path / "zeros").write_bytes(bytes(1000))
    (tmp_path / "drawing.svg").write_text("<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "blank.txt").write_text("  \n \n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "words")
    for path in (*tmp_path.iterdir(), Path(sys.executable)):
        assert sniff(path) is None, path


def test_names_that_promise_media(tmp_path: Path) -> None:
    assert looks_like_media("holiday/IMG_1.JPG")
    assert looks_like_media(tmp_path / "a.opus")
    assert not looks_like_media("archive.zip")
    assert not looks_like_media("README")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jpg", b"", "the file is empty"),
        ("a.txt", b"", "the file is empty"),
        ("a.png", bytes(5000), "it holds nothing but zeros"),
        ("a.jpg", b"<html><body>404 Not Found</body></html>", "it holds text, not an image"),
        ("a.mp4", b"Not Found\n", "it holds text, not a video"),
        ("a.mp3", b"\x05\x07\x00\xfe" * 100, "it is not a sound: its content is of no known format"),
        ("a.txt", b"\x05\x07\x00\xfe" * 100, "it is no text that can be read"),
        ("a.bin", b"\x05\x07\x00\xfe" * 100, "it is no image, sound, video or text"),
    ],
)
def test_broken_promises_are_told(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert sniff(path) is None
    with pytest.raises(DecodeError) as caught:
        open_media(path)
    assert caught.value.reason.startswith(reason)
    assert str(caught.value).startswith(str(path))


def test_names_that_no_one_would_choose(tmp_path: Path) -> None:
    for name in (b"line\nbreak.jpg", b"bad\xff\xfeutf8.jpg", b"concat:a|b.jpg", b" .jpg", b"%s%n.jpg"):
        path = tmp_path / os.fsdecode(name)
        Image.new("RGB", (8, 8)).save(path)
        assert len(list(open_media(path).samples)) == 1
    for name in (b"line\nbreak.mp4", b"bad\xff\xfeutf8.mp4", b"concat:a|b.mp4", b"http:x.mp4"):
        path = tmp_path / os.fsdecode(name)
        write_video(tmp_path / "made.mp4", [1.0], sound=None).replace(path)
        decoded = open_media(path)
        assert decoded.media_type.modality is Modality.VIDEO
        assert len(list(decoded.samples)) >= 1
    unreadable = tmp_path / os.fsdecode(b"bad\xff.mp4")
    unreadable.write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(50))
    with pytest.raises(DecodeError):
        open_media(unreadable)


def test_playlists_do_not_reach_other_files(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.ts", [1.0], sound=None)
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    decoded = open_media(path)
    assert decoded.media_type.modality is Modality.TEXT


def test_importing_is_light() -> None:
    code = (
        "import sys, searchkit.media; heavy = ('PIL', 'av', 'soundfile', 'soxr', 'pypdf', 'html.parser'); "
        "sys.exit(str([name for name in heavy if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == "[]"

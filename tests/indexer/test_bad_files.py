"""A folder full of trouble: each bad file becomes an error with a reason, each good one is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import searchkit as sk
from tests.media_files import write_picture, write_sound, write_text


def make_corpus(folder: Path) -> dict[str, str]:
    """Bad files by name, each with a word that its reason must hold."""
    folder.mkdir()
    picture = write_picture(folder / "whole.png", 1).read_bytes()
    (folder / "half.png").write_bytes(picture[: len(picture) // 2])
    (folder / "zeros.jpg").write_bytes(bytes(4096))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404 not found</html>")
    soundfile.write(folder / "nothing.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(folder / "nan.wav", np.full(1600, np.nan, np.float32), 16_000, subtype="FLOAT")
    soundfile.write(folder / "long.wav", np.zeros(25 * 3600 * 100, np.uint8).astype(np.int16), 100)
    huge = bytearray(picture)
    huge[16:24] = (50_000).to_bytes(4, "big") * 2
    (folder / "huge.png").write_bytes(huge)
    os.mkfifo(folder / "pipe.wav")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    (folder / "device.png").symlink_to("/dev/zero")
    with zipfile.ZipFile(folder / "archive.jpg", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(10 << 20))
    return {
        "device.png": "regular",
        "archive.jpg": "",
        "half.png": "cut off",
        "zeros.jpg": "zeros",
        "empty.wav": "empty",
        "page.jpg": "text",
        "nothing.wav": "no sound",
        "nan.wav": "NaN",
        "long.wav": "limit",
        "huge.png": "",
        "pipe.wav": "regular",
        "dangling.jpg": "no such file",
        "circle.jpg": "symbolic links",
    }


def make_good(folder: Path) -> list[str]:
    """Good files whose names are the trouble."""
    names = [
        b"new\nline.txt",
        b"not utf-8 \xe9\xff.txt",
        b"back\\slash.txt",
        b" blank .txt",
        b"quote'\".txt",
        b"Case.txt",
        b"case.txt",
        b"CASE.TXT",
        "e\u0301.txt".encode(),
        "\u00e9.txt".encode(),
        b"%s%d{}.txt",
        b"-rf.txt",
        ("n" * 251).encode() + b".txt",
    ]
    for number, name in enumerate(names):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(f"Good file number {number} about a lighthouse.".encode())
    write_sound(folder / "good.wav", 3)
    return [os.fsdecode(name) for name in names] + ["good.wav", "whole.png"]


@pytest.fixture(params=["threads", "processes"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SEARCHKIT_DECODER", request.param)
    return str(request.param)


@pytest.fixture
def library(tmp_path: Path, decoder: str) -> Iterator[sk.Library]:
    with sk.open_library(tmp_path / "library") as opened:
        yield opened


def test_bad_files_are_named_and_good_ones_found(tmp_path: Path, library: sk.Library) -> None:
    folder = tmp_path / "media"
    bad = make_corpus(folder)
    good = make_good(folder)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(10 << 20))
    report = library.index(folder)
    reasons = {Path(error.path).name: error.reason for error in library.errors()}
    assert set(reasons) == set(bad)
    assert {name: reason for name, reason in reasons.items() if bad[name] not in reason} == {}
    assert (report.new, report.failed, report.skipped) == (len(good), len(bad), 1)
    found = {result.path.name for result in library.search("a lighthouse", k=100)}
    assert found == set(good)
    assert library.verify().clean
    again = library.index(folder)
    assert (again.same, again.failed, again.skipped, again.segments) == (len(good), len(bad), 1, 0)


def test_a_bad_file_that_goes_takes_its_error_along(tmp_path: Path, library: sk.Library) -> None:
    folder = tmp_path / "media"
    bad = make_corpus(folder)
    library.index(folder)
    for name in bad:
        (folder / name).unlink()
    library.index(folder)
    assert library.errors() == []


def test_a_file_that_grows_while_it_is_read_is_read_again(tmp_path: Path, library: sk.Library) -> None:
    folder = tmp_path / "media"
    for number in range(30):
        write_text(folder / f"{number}.txt", f"Number {number}.")
    growing = folder / "grows.txt"
    growing.write_text("A line.\n")
    done = threading.Event()

    def grow() -> None:
        while not done.is_set():
            with growing.open("a") as file:
                file.write("A line.\n")
            time.sleep(0.001)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        report = library.index(folder)
    finally:
        done.set()
        writer.join()
    assert report.new + report.failed == 31
    report = library.index(folder)
    assert (report.same + report.new + report.changed, report.failed) == (31, 0)
    assert library.verify().clean


def test_a_folder_that_may_not_be_listed_loses_nothing(tmp_path: Path, library: sk.Library) -> None:
    folder = tmp_path / "media"
    write_text(folder / "open" / "1.txt", "A ship.")
    write_text(folder / "private" / "2.txt", "A harbour.")
    library.index(folder)
    shutil.move(folder / "private", tmp_path / "kept")
    # A name that is too long for any path is what root, too, cannot list.
    here = os.open(folder, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("p" * 200, dir_fd=here)
        below = os.open("p" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    report = library.index(folder)
    assert report.gone == 1
    assert ["too long" in error.reason for error in library.errors()] == [True]
    subprocess.run(["rm", "-rf", str(folder / ("p" * 200))], check=True)
    shutil.move(tmp_path / "kept", folder / "private")
    report = library.index(folder)
    assert (report.new, report.same, report.failed) == (1, 1, 0)
    assert library.errors() == []


def test_a_decoder_that_dies_or_hangs_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "media"
    for number in range(6):
        write_picture(folder / f"{number}.png", number)
    write_picture(folder / "crash.png", 77)
    write_picture(folder / "hang.png", 78)
    # What a decoder does that a file has brought down, in the process that decodes.
    monkeypatch.setenv("SEARCHKIT_DECODER", "processes")
    import searchkit.media.isolate as isolate

    trap = (
        "\nimport os, time, PIL.Image as P, searchkit.media.image\n"
        "searchkit.media.image._formats()\n_open = P.open\n"  # imported before the time limit begins
        "def open_(source, *a, **k):\n"
        "    name = str(getattr(source, 'name', source))\n"
        "    try: name = os.readlink(f'/proc/self/fd/{source.fileno()}')\n"
        "    except Exception: pass\n"
        "    if name.endswith('crash.png'): os.abort()\n"
        "    if name.endswith('hang.png'): time.sleep(600)\n"
        "    return _open(source, *a, **k)\nP.open = open_\n"
    )
    monkeypatch.setattr(isolate, "_START", isolate._START.replace("\nmain()", trap + "main()"))
    with sk.open_library(tmp_path / "library", decode_timeout_s=10) as library:
        report = library.index(folder)
        reasons = {Path(error.path).name: error.reason for error in library.errors()}
        assert report.new == 6
        assert "crashed" in reasons["crash.png"]
        assert "longer than" in reasons["hang.png"]
        assert len(library.search("anything", k=20)) == 6

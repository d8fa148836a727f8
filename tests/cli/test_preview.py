"""What a terminal is sent for previews, decoded again, and the page of --html."""

import base64
import io
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from searchkit import open_library
from searchkit.cli.preview import COLUMNS, ROWS, Graphics, graphics_of
from searchkit.cli.sixel import sixels

PHOTOS = {"red": (200, 30, 30), "green": (30, 160, 60)}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("previews")
    media = folder / "media"
    media.mkdir()
    for name, colour in PHOTOS.items():
        picture = Image.new("RGB", (120, 60), colour)
        picture.paste((10, 10, 240), (0, 0, 60, 60))
        picture.save(media / f"{name}.png")
    with open_library(folder / "library") as opened:
        opened.index(media)
    return folder / "library"


# What tells of the terminal of whoever runs the tests.
OWN_TERMINAL = ("COLUMNS", "KITTY_WINDOW_ID", "LINES", "NO_COLOR", "TERM_PROGRAM", "TMUX")


def in_terminal(arguments, **environment):
    """Run the command in a pseudo terminal; returns what it wrote and its exit code."""
    command = [sys.executable, "-m", "searchkit", *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if name not in OWN_TERMINAL}
    kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
    ours, theirs = pty.openpty()
    written = b""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=kept, start_new_session=True
    ) as process:
        os.close(theirs)
        with suppress(OSError):  # which is how a terminal ends on Linux
            while part := os.read(ours, 1 << 16):
                written += part
    os.close(ours)
    return written.decode(), process.returncode


def unsixel(source):
    """A sixel sequence as (H, W, 3) uint8."""
    head, body = re.fullmatch(r'\x1bP[\d;]*q"1;1;(\d+;\d+)(.*)\x1b\\', source, re.DOTALL).groups()
    width, height = map(int, head.split(";"))
    pixels = np.zeros((height + 6, width, 3), np.uint8)
    palette, colour, x, top = {}, 0, 0, 0
    for token in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])", body):
        if token[1] is not None:
            colour = int(token[1])
            if token[2] is not None:
                palette[colour] = [round(int(part) * 2.55) for part in token.groups()[1:4]]
        elif token[8] is not None:
            x, top = 0, top + 6 * (token[8] == "-")
        else:
            count, bits = int(token[5] or 1), ord(token[6] or token[7]) - 63
            for row in range(6):
                if bits >> row & 1:
                    pixels[top + row, x : x + count] = palette[colour]
            x += count
    return pixels[:height]


def unkitty(source):
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", source)
    assert chunks[-1][0].endswith("m=0")
    assert all(len(data) <= 4096 for _, data in chunks)
    return Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in chunks))))


def looks_like(picture, name):
    pixels = np.asarray(picture).astype(int)
    _, width = pixels.shape[:2]
    left, right = pixels[:, width // 8], pixels[:, -width // 8]
    return np.abs(left - [10, 10, 240]).max() < 8 and np.abs(right - PHOTOS[name]).max() < 8


# What opens a file differs by system.
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tests Linux's opener")


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (120, 100), (33, 13)])
def test_sixels_decode_to_the_picture(size):
    shades = np.random.default_rng(0).integers(0, 256, (40, 3), np.uint8)
    pixels = shades[np.random.default_rng(1).integers(0, 40, (size[1], size[0]))]
    decoded = unsixel(sixels(Image.fromarray(pixels)))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("graphics", ["kitty", "iterm", "sixel"])
def test_a_terminal_with_graphics_gets_the_pictures(library, graphics):
    shown, code = in_terminal(["query", "red.png", "--library", library], SEARCHKIT_PREVIEW=graphics)
    assert code == 0
    assert "red.png" in shown
    if graphics == "kitty":
        first = unkitty(re.search(r"(?:\x1b_G[^\x1b]*\x1b\\)+", shown)[0])
    elif graphics == "iterm":
        data = re.search(r"\x1b\]1337;File=inline=1;width=12;height=3;[^:]*:([^\x07]*)\x07", shown)[1]
        first = Image.open(io.BytesIO(base64.b64decode(data)))
    else:
        first = unsixel(re.search(r"\x1bP.*?\x1b\\", shown, re.DOTALL)[0])
    assert looks_like(first, "red")


def test_any_other_terminal_gets_half_blocks(library):
    shown, _ = in_terminal(["query", "green.png", "--library", library, "-k", "1"])
    line = next(line for line in shown.splitlines() if "▀" in line)
    assert line.count("▀") == COLUMNS
    assert "38;2;10;10;240" in line
    assert "green.png" in shown
    assert sum("▀" in line for line in shown.split("\n")) <= ROWS


def test_nothing_is_drawn_when_piped_or_unwanted(library, capfd):
    from searchkit.cli.main import run

    assert run(["query", "red.png", "--library", str(library)]) == 0
    assert "\x1b" not in capfd.readouterr().out
    shown, _ = in_terminal(
        ["query", "red.png", "--library", library, "--no-previews"], SEARCHKIT_PREVIEW="kitty"
    )
    assert "\x1b_G" not in shown


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, Graphics.KITTY),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, Graphics.BLOCKS),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Graphics.ITERM),
        ({"TERM": "foot"}, Graphics.SIXEL),
        ({"TERM": "dumb"}, Graphics.NONE),
        ({"TERM": "xterm", "NO_COLOR": "1"}, Graphics.NONE),
        ({"TERM": "dumb", "SEARCHKIT_PREVIEW": "sixel"}, Graphics.SIXEL),
    ],
)
def test_the_terminal_says_what_it_can_show(environment, expected, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert graphics_of(environment, is_terminal=True) is expected
    assert graphics_of(environment, is_terminal=False) is Graphics.NONE


def test_the_page_holds_its_pictures_and_links_to_the_files(library, tmp_path, capfd):
    from searchkit.cli.main import run

    page = tmp_path / "found.html"
    assert run(["query", "red.png", "--library", str(library), "--html", str(page)]) == 0
    source = page.read_text()
    assert "http" not in source
    first = re.search(r'data:image/jpeg;base64,([^"]*)"', source)[1]
    picture = Image.open(io.BytesIO(base64.b64decode(first)))
    assert np.abs(np.asarray(picture)[30, 110].astype(int) - PHOTOS["red"]).max() < 12
    assert (library.parent / "media" / "red.png").as_uri() in source
    assert run(["query", "red", "--library", str(library), "--html", str(tmp_path / "no" / "x.html")]) == 2
    assert "x.html: No such file" in capfd.readouterr().err


def test_the_page_cannot_be_fooled_by_a_query(library, tmp_path):
    from searchkit.cli.main import run

    page = tmp_path / "found.html"
    run(["query", "<script>alert(1)</script>", "--library", str(library), "--all", "--html", str(page)])
    assert "<script>" not in page.read_text()


@on_linux
def test_open_takes_the_best_result_or_the_page(library, tmp_path):
    opened = tmp_path / "opened"
    os.mkfifo(opened)
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}\n')
    opener.chmod(0o755)
    command = [sys.executable, "-m", "searchkit", "query", "red.png", "--library", str(library), "--open"]
    path = f"{opener.parent}{os.pathsep}{os.environ['PATH']}"
    page = tmp_path / "found.html"
    for extra, expected in (([], library.parent / "media" / "red.png"), (["--html", str(page)], page)):
        with subprocess.Popen([*command, *extra], env={**os.environ, "PATH": path}) as process:
            assert opened.read_text() == str(expected)
        assert process.returncode == 0
    without = subprocess.run(
        command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert without.returncode == 2
    assert "no program that opens" in without.stderr

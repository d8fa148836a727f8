"""Previews as a terminal shows them: pictures in its own graphics or in half blocks, sounds as bars.

It makes strings and prints nothing.
"""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from searchkit.types import Modality

if TYPE_CHECKING:
    from PIL import Image

    from searchkit.types import FloatArray, Result

__all__ = ["COLUMNS", "ROWS", "Graphics", "Preview", "graphics_of", "preview_of"]

COLUMNS = 12
ROWS = 5
_CELL_PX = (10, 20)
_CHUNK = 4096
_BARS = " ▁▂▃▄▅▆▇█"
_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft", "sixel")


class Graphics(StrEnum):
    """How a terminal shows pictures."""

    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Preview:
    """What stands to the left of a result.

    Attributes:
        lines: rows of characters, each COLUMNS wide on the screen.
        picture: an escape sequence that draws within COLUMNS x ROWS cells; then there are no lines.
    """

    lines: tuple[str, ...] = ()
    picture: str = ""


def graphics_of(environment: Mapping[str, str] = os.environ, *, is_terminal: bool | None = None) -> Graphics:
    """What the terminal of standard output can show, by what it says of itself in the environment.

    ``SEARCHKIT_PREVIEW`` (kitty, iterm, sixel, blocks, none) overrules it.
    """
    if not (sys.stdout.isatty() if is_terminal is None else is_terminal):
        return Graphics.NONE
    chosen = environment.get("SEARCHKIT_PREVIEW", "").lower()
    if chosen in set(Graphics):
        return Graphics(chosen)
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    # Multiplexers swallow graphics, half blocks pass.
    if not (environment.get("TMUX") or term.startswith(("screen", "tmux"))):
        if "KITTY_WINDOW_ID" in environment or "kitty" in term or program in ("ghostty", "WezTerm"):
            return Graphics.KITTY
        if program in ("iTerm.app", "mintty", "vscode"):
            return Graphics.ITERM
        if any(name in term for name in _SIXEL_TERMS):
            return Graphics.SIXEL
    is_plain = term in ("", "dumb", "linux") or bool(environment.get("NO_COLOR"))
    return Graphics.NONE if is_plain or not _has_blocks() else Graphics.BLOCKS


def preview_of(result: Result, graphics: Graphics, environment: Mapping[str, str] = os.environ) -> Preview:
    """A result's preview; an empty one when there is nothing to show."""
    from searchkit.preview import peaks_of, picture_of

    if graphics is Graphics.NONE:
        return Preview()
    if result.modality is Modality.AUDIO:
        peaks = peaks_of(result.path, result.span, COLUMNS)
        return Preview() if peaks is None or not _has_blocks() else Preview(_wave(peaks))
    width_px, height_px = _box_px() if graphics is Graphics.SIXEL else _box_of(_CELL_PX)
    picture = picture_of(result.path, result.modality, result.span, 2 * max(width_px, height_px))
    if picture is None:
        return Preview()
    if graphics is Graphics.BLOCKS:
        return Preview(_half_blocks(picture, true_colour=_has_true_colour(environment)))
    if graphics is Graphics.SIXEL:
        from searchkit.cli.sixel import sixels

        picture.thumbnail((width_px, height_px))
        return Preview(picture=sixels(picture))
    return Preview(picture=_inline(picture, graphics))


def _inline(picture: Image.Image, graphics: Graphics) -> str:
    """A PNG in the escape sequence of kitty or iTerm2, which scale it to cells."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    columns, rows = _cells(picture)
    if graphics is Graphics.ITERM:
        return f"\x1b]1337;File=inline=1;width={columns};height={rows};preserveAspectRatio=1:{data}\x07"
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    first = f"a=T,f=100,q=2,C=1,c={columns},r={rows},"
    return "".join(
        f"\x1b_G{first if number == 0 else ''}m={int(number < len(chunks) - 1)};{chunk}\x1b\\"
        for number, chunk in enumerate(chunks)
    )


def _half_blocks(picture: Image.Image, *, true_colour: bool) -> tuple[str, ...]:
    """A picture in characters, two pixels in each: the upper half's colour in front, the lower's behind."""
    fitted = picture.convert("RGB")
    fitted.thumbnail((COLUMNS, 2 * ROWS))
    width, height = fitted.size
    lines = []
    for top in range(0, height, 2):
        cells = []
        for x in range(width):
            upper = _colour(fitted.getpixel((x, top)), 38, true_colour)
            below = _colour(fitted.getpixel((x, top + 1)), 48, true_colour) if top + 1 < height else "49"
            cells.append(f"\x1b[{upper};{below}m▀")
        lines.append("".join(cells) + "\x1b[0m" + " " * (COLUMNS - width))
    return tuple(lines)


def _wave(peaks: FloatArray) -> tuple[str, ...]:
    """Loudness from 0 to 1 as two lines of bars."""
    levels = [round(float(peak) * 16) for peak in peaks]
    upper = "".join(_BARS[max(0, level - 8)] for level in levels)
    lower = "".join(_BARS[min(8, max(1, level))] for level in levels)
    return upper, lower


def _colour(pixel: object, layer: int, true_colour: bool) -> str:
    red, green, blue = pixel if isinstance(pixel, tuple) else (0, 0, 0)
    if true_colour:
        return f"{layer};2;{red};{green};{blue}"
    cube = 16 + 36 * round(red / 51) + 6 * round(green / 51) + round(blue / 51)
    return f"{layer};5;{cube}"


def _has_true_colour(environment: Mapping[str, str]) -> bool:
    return environment.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in environment.get(
        "TERM", ""
    )


def _has_blocks() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _cells(picture: Image.Image) -> tuple[int, int]:
    """The cells that a picture fills, within COLUMNS x ROWS, a cell being twice as high as wide."""
    width, height = picture.size
    scale = min(COLUMNS / width, 2 * ROWS / height)
    return max(1, round(width * scale)), max(1, round(height * scale / 2))


def _box_of(cell_px: tuple[int, int]) -> tuple[int, int]:
    return COLUMNS * cell_px[0], ROWS * cell_px[1]


def _box_px() -> tuple[int, int]:
    """The size in pixels of COLUMNS x ROWS cells, as far as the terminal says."""
    try:
        import fcntl
        import struct
        import termios

        answer = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width_px, height_px = struct.unpack("HHHH", answer)
    except (ImportError, OSError, ValueError):
        return _box_of(_CELL_PX)
    if not (rows and columns and width_px >= columns and height_px >= rows):
        return _box_of(_CELL_PX)
    return _box_of((width_px // columns, height_px // rows))

"""The only place that prints: answers to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchkit.cli.hints import on_chosen_library

if TYPE_CHECKING:
    from searchkit.cli.preview import Preview
    from searchkit.types import Result, Span

__all__ = [
    "error_line",
    "line",
    "note",
    "print_json",
    "print_paths",
    "print_previewed",
    "print_results",
    "shown_path",
    "shown_size",
    "status_line",
    "table",
]


# In a message they lay it out, in a name they would break the table that it stands in.
_LINE_ENDS = str.maketrans("\n\t", "\ufffd\ufffd")


def line(text: str = "") -> None:
    """One line of the answer."""
    print(_printable(text, sys.stdout.encoding))


def note(text: str) -> None:
    """One line that is not part of the answer; commands that it names are for the library that was chosen."""
    print(_printable(on_chosen_library(text), sys.stderr.encoding), file=sys.stderr)


def status_line(text: str) -> None:
    """A line that the next one overwrites; "" takes it away. For terminals only."""
    sys.stderr.write(f"\r\x1b[2K{_printable(text, sys.stderr.encoding)}")
    sys.stderr.flush()


def error_line(message: str, hint: str = "") -> None:
    """An error and what to do next."""
    note(f"searchkit: {message}")
    if hint:
        note(f"  -> {hint}")


def print_json(value: Any) -> None:
    """One JSON object."""
    print(json.dumps(value, indent=2))


def print_paths(paths: Iterable[Path], *, nul: bool = False) -> None:
    """Paths byte for byte, one a line, or ended by NUL."""
    end = b"\0" if nul else b"\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(b"".join(os.fsencode(path) + end for path in paths))
    sys.stdout.buffer.flush()


def shown_path(path: Path) -> str:
    """A path as a person wants to read it: relative when it lies below the current folder."""
    here = Path.cwd()
    shown = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    return shown.translate(_LINE_ENDS)


def shown_size(size_bytes: int) -> str:
    """A size as a person wants to read it."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def print_results(results: Sequence[Result]) -> None:
    """Results as a table: rank, probability of a match, score, modality, file, span or passage."""
    if not results:
        return
    rows = [
        (
            str(result.rank),
            _match(result),
            _score(result),
            result.modality.value,
            shown_path(result.path),
            _where(result),
        )
        for result in results
    ]
    table(("", "match", "score", "kind", "file", ""), rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns; bold heads on a terminal, none where the output goes to a program."""
    width = len(heads)
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(width)]
    if sys.stdout.isatty():
        _bold(_columns(heads, widths))
    for row in rows:
        line(_columns(row, widths))


def print_previewed(results: Iterable[Result], previews: Iterable[Preview]) -> None:
    """Results one below the other, each beside its preview; for terminals."""
    from rich.cells import set_cell_size

    from searchkit.cli.preview import COLUMNS, ROWS

    room = max(20, shutil.get_terminal_size().columns - COLUMNS - 2)
    for result, preview in zip(results, previews, strict=True):
        facts = f"{result.rank}  {_match(result) or '    '}  {_score(result)}  {result.modality.value}"
        described = [facts, shown_path(result.path), *filter(None, [_where(result)])]
        height = max(len(described), len(preview.lines), ROWS if preview.picture else 0)
        if preview.picture:
            # Room first, since a terminal that scrolls would carry the saved place away.
            sys.stdout.write("\n" * height + f"\x1b[{height}A\x1b7{preview.picture}\x1b8")
        for row in range(height):
            left = f"\x1b[{COLUMNS}C" if preview.picture else " " * COLUMNS
            left = preview.lines[row] if row < len(preview.lines) else left
            text = _printable(described[row], sys.stdout.encoding) if row < len(described) else ""
            print(f"{left}  {set_cell_size(text, room).rstrip()}", flush=True)


def _bold(text: str) -> None:
    print(f"\x1b[1m{_printable(text, sys.stdout.encoding)}\x1b[0m")


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _match(result: Result) -> str:
    """How likely a match it is, or what else found it."""
    if result.found_by != ("vectors",):
        return result.found_by[-1]
    return "" if result.match is None else f"{result.match:.0%}"


def _score(result: Result) -> str:
    # Adding 0.0 turns -0.0 into 0.0, which nobody wants to read.
    return f"{round(result.score, 3) + 0.0:.3f}"


def _where(result: Result) -> str:
    """Which part of the file, and how many others have the same content."""
    others = len(result.copies)
    same = f"(and {others} {'copy' if others == 1 else 'copies'})" if others else ""
    return " ".join(filter(None, (_part(result), same)))


def _part(result: Result) -> str:
    if result.span is not None:
        return _clock(result.span)
    if result.text:
        words = " ".join(result.text.split())
        return words if len(words) <= 60 else words[:57] + "..."
    return ""


def _clock(span: Span) -> str:
    return f"{_time(span.start_s)} to {_time(span.end_s)}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _printable(text: str, encoding: str | None) -> str:
    """Names that are not valid text, and control characters in them, must not break or fool a terminal."""
    clean = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    return clean.encode(encoding or "utf-8", "replace").decode(encoding or "utf-8")

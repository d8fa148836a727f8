"""Results as one HTML file that needs no other: pictures inside, sounds as drawings, links to the files."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.durable import write_bytes
from searchkit.errors import UsageError
from searchkit.types import Modality

if TYPE_CHECKING:
    from searchkit.types import FloatArray, Result, Results

__all__ = ["contact_sheet", "write_contact_sheet"]

_SIDE_PX = 320
_BINS = 80
_CHARS = 400

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem; background: #fff; color: #1b1b1f }
h1 { font-size: 1.1rem; font-weight: 600; overflow-wrap: anywhere }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1.25rem }
figure { margin: 0; min-width: 0 }
a { color: inherit; text-decoration: none }
a:hover, a:focus-visible { text-decoration: underline }
.shown { display: grid; place-items: center; aspect-ratio: 4 / 3; background: #f1f1f4; border-radius: 6px;
  overflow: hidden }
.shown img { width: 100%; height: 100%; object-fit: contain; min-height: 0 }
.shown svg { width: 92%; height: 50%; fill: #5b6b8c }
.shown p { margin: 0; padding: 1rem; max-height: 100%; overflow: hidden; box-sizing: border-box }
figcaption { padding: .4rem .1rem; overflow-wrap: anywhere }
small { color: #5f5f6a }
@media (prefers-color-scheme: dark) {
  body { background: #16161a; color: #e8e8ec }
  .shown { background: #24242a }
  .shown svg { fill: #9db0d6 }
  small { color: #9a9aa5 }
}
"""


def write_contact_sheet(
    file: Path,
    results: Results,
    shown: Sequence[Result],
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Write the page whole, or leave what was there.

    Raises:
        UsageError: the file cannot be written.
        DiskFull: the device is full.
    """
    page = contact_sheet(results, shown, progress=progress).encode("utf-8", "replace")
    try:
        write_bytes(file, page)
    except OSError as error:
        reason = error.strerror or "it cannot be written"
        raise UsageError(f"{file}: {reason}", hint="--html FILE, in a folder that exists") from error


def contact_sheet(
    results: Results, shown: Sequence[Result], *, progress: Callable[[str, int, int], None] | None = None
) -> str:
    """The page's source.

    Args:
        results: the answer, for its query.
        shown: the results to show.
        progress: told how many previews are made.
    """
    figures = []
    for done, result in enumerate(shown, start=1):
        figures.append(_figure(result))
        if progress is not None:
            progress("drawing", done, len(shown))
    title = html.escape(results.query)
    body = "\n".join(figures) or "<p>No good match.</p>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _figure(result: Result) -> str:
    link, name = html.escape(_link(result)), html.escape(result.path.name)
    facts = [result.modality.value]
    if result.found_by != ("vectors",):
        facts.append(f"by {result.found_by[-1]}")
    elif result.match is not None:
        facts.append(f"{result.match:.0%}")
    if result.span is not None:
        facts.append(f"{result.span.start_s:.1f} to {result.span.end_s:.1f} s")
    return (
        f'<figure><a href="{link}" tabindex="-1" aria-hidden="true">'
        f'<div class="shown">{_shown(result)}</div></a>'
        f'<figcaption><a href="{link}" title="{html.escape(str(result.path))}">{result.rank}. {name}</a><br>'
        f"<small>{html.escape(' · '.join(facts))}</small></figcaption></figure>"
    )


def _shown(result: Result) -> str:
    from searchkit.preview import peaks_of, picture_of

    if result.modality is Modality.TEXT:
        return f"<p>{html.escape((result.text or '')[:_CHARS])}</p>"
    if result.modality is Modality.AUDIO:
        peaks = peaks_of(result.path, result.span, _BINS)
        return "" if peaks is None else _bars(peaks)
    picture = picture_of(result.path, result.modality, result.span, _SIDE_PX)
    if picture is None:
        return ""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=80)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'


def _bars(peaks: FloatArray) -> str:
    heights = [max(1.0, 100 * float(peak)) for peak in peaks]
    bars = "".join(
        f'<rect x="{3 * number}" y="{50 - height / 2:.1f}" width="2" height="{height:.1f}"/>'
        for number, height in enumerate(heights)
    )
    return f'<svg viewBox="0 0 {3 * len(heights)} 100" preserveAspectRatio="none">{bars}</svg>'


def _link(result: Result) -> str:
    link = result.path.absolute().as_uri()
    return f"{link}#t={result.span.start_s:g}" if result.span is not None else link

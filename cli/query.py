"""``searchkit query``: search a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.cli.exits import Exit
from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption, ToOption, WhereOption
from searchkit.cli.output import note, print_json, print_paths, print_results

if TYPE_CHECKING:
    from searchkit.types import Results

__all__ = ["query"]

_Repeated = list[str] | None


def query(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]", help="Words, or the query grammar.", show_default=False),
    ] = None,
    text: Annotated[_Repeated, typer.Option("--text", help="Words.", show_default=False)] = None,
    audio: Annotated[_Repeated, typer.Option("--audio", help="A sound file.", show_default=False)] = None,
    image: Annotated[_Repeated, typer.Option("--image", help="A picture file.", show_default=False)] = None,
    video: Annotated[_Repeated, typer.Option("--video", help="A video file.", show_default=False)] = None,
    minus_text: Annotated[
        _Repeated, typer.Option("--minus-text", help="Words to steer away from.", show_default=False)
    ] = None,
    minus_audio: Annotated[
        _Repeated, typer.Option("--minus-audio", help="A sound to steer away from.", show_default=False)
    ] = None,
    minus_image: Annotated[
        _Repeated, typer.Option("--minus-image", help="A picture to steer away from.", show_default=False)
    ] = None,
    expr: Annotated[
        _Repeated,
        typer.Option(
            "--expr", help="A sum of terms: 'audio:bark.wav + 0.5*text:\"snow\"'.", show_default=False
        ),
    ] = None,
    to: ToOption = None,
    where: WhereOption = None,
    k: Annotated[int, typer.Option("-k", help="How many results at most.")] = 10,
    spans: Annotated[bool, typer.Option("--spans", help="Every span, not the best of each file.")] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Print only the paths.")] = False,
    nul: Annotated[bool, typer.Option("-0", help="With --paths: end each with NUL, for xargs -0.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also show what is no good match.")] = False,
    cutoff: Annotated[
        float | None,
        typer.Option("--cutoff", help="Lowest probability of a good match, 0 to 1.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> int:
    """Search with words, a sound, a picture, a video, or a weighted sum of those.

    Example: searchkit query --audio bark.wav --text 'in the snow^0.5' --to image
    """
    from searchkit.library import open_library
    from searchkit.query import CUTOFF, from_flags

    value = from_flags(
        text or (),
        audio=audio or (),
        image=image or (),
        video=video or (),
        minus_text=minus_text or (),
        minus_audio=minus_audio or (),
        minus_image=minus_image or (),
        expr=[*([" ".join(words)] if words else []), *(expr or ())],
    )
    with open_library(library, create=False, read_only=True, model=model, model_dir=model_dir) as opened:
        results = opened.search(
            value, to=to, k=k, where=where, spans=spans, cutoff=CUTOFF if cutoff is None else cutoff
        )
    if json:
        print_json(results.to_dict())
        return Exit.OK if len(results) else Exit.NO_MATCH
    shown = results.found if everything else results.good
    if paths or nul:
        print_paths((result.path for result in shown), nul=nul)
    else:
        print_results(shown)
    _say_what_is_missing(results, len(shown), to)
    return Exit.OK if shown else Exit.NO_MATCH


def _say_what_is_missing(results: Results, shown: int, to: str | None) -> None:
    hidden = len(results) - shown
    if not len(results):
        note("nothing found" + (f" among {to}" if to else ""))
    elif not shown:
        note(f"no good match; --all shows the {hidden} nearest")
    elif hidden:
        note(f"{hidden} more are no good match; --all shows them")

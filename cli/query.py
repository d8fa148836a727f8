"""``searchkit query``: search a library."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from searchkit.cli import query_options as of
from searchkit.cli.exits import Exit
from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption, ToOption, WhereOption
from searchkit.cli.output import note, print_json, print_paths
from searchkit.cli.showing import say_what_is_missing, show_results, write_page
from searchkit.cli.waiting import waiting

__all__ = ["query"]


def query(
    words: of.WordsArgument = None,
    text: of.TextOption = None,
    audio: of.AudioOption = None,
    image: of.ImageOption = None,
    video: of.VideoOption = None,
    minus_text: of.MinusTextOption = None,
    minus_audio: of.MinusAudioOption = None,
    minus_image: of.MinusImageOption = None,
    minus_video: of.MinusVideoOption = None,
    expr: of.ExprOption = None,
    like: of.LikeOption = None,
    unlike: of.UnlikeOption = None,
    prompt: of.PromptOption = None,
    to: ToOption = None,
    where: WhereOption = None,
    k: Annotated[int, typer.Option("-k", help="How many results at most.")] = 10,
    spans: of.SpansFlag = False,
    diverse: of.DiverseFlag = False,
    hybrid: of.HybridFlag = False,
    centred: of.CentredFlag = None,
    fuse: of.FuseOption = "calibrated",
    everything: of.AllFlag = False,
    cutoff: of.CutoffOption = None,
    save: of.SaveOption = None,
    previews: of.PreviewsFlag = True,
    html: of.HtmlOption = None,
    open_: of.OpenFlag = False,
    paths: Annotated[bool, typer.Option("--paths", help="Print only the paths.")] = False,
    nul: Annotated[bool, typer.Option("-0", help="With --paths: end each with NUL, for xargs -0.")] = False,
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

    asked = " ".join(words or ())
    flags = {
        "text": text,
        "audio": audio,
        "image": image,
        "video": video,
        "minus_text": minus_text,
        "minus_audio": minus_audio,
        "minus_image": minus_image,
        "minus_video": minus_video,
        "like": like,
        "unlike": unlike,
    }
    given: dict[str, Any] = {name: values for name, values in flags.items() if values}
    expressions = [*([asked] if asked else []), *(expr or ())]
    opening = open_library(library, create=False, read_only=not save, model=model, model_dir=model_dir)
    with waiting("searching"), opening as opened:
        alone = len(expressions) == 1 and not given
        value = expressions[0] if alone else from_flags(expr=expressions, read=opened.parse, **given)
        results = opened.search(
            value,
            to=to,
            k=k,
            where=where,
            spans=spans,
            diverse=diverse,
            fusion=fuse,
            hybrid=hybrid,
            centred=centred,
            prompts=prompt or (),
            cutoff=CUTOFF if cutoff is None else cutoff,
        )
        kept = opened.save_query(save, value, to=to, where=where, prompts=prompt or ()) if save else None
    if kept is not None:
        note(f"saved as @{kept.name}: {kept.source}")
    shown = results.found if everything else results.good
    if json:
        print_json(results.to_dict())
    elif paths or nul:
        print_paths((result.path for result in shown), nul=nul)
    else:
        show_results(shown, previews=previews)
    if html is not None:
        write_page(html, results, shown)
    if open_ and (html is not None or shown):
        from searchkit.cli.opening import open_file

        open_file(html or shown[0].path)
    if json:
        return Exit.OK if len(results) else Exit.NO_MATCH
    say_what_is_missing(results, len(shown), to)
    return Exit.OK if shown else Exit.NO_MATCH

"""``searchkit explain``: why a file is, or is not, among the results of a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.cli import query_options as of
from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption, ToOption, WhereOption
from searchkit.cli.output import line, print_json, shown_path, table
from searchkit.cli.waiting import waiting

if TYPE_CHECKING:
    from searchkit.query.explain import Explanation

__all__ = ["explain"]


def explain(
    query: Annotated[str, typer.Argument(help="Words, or the query grammar.", show_default=False)],
    path: Annotated[Path, typer.Argument(help="A file of the library.", show_default=False)],
    to: ToOption = None,
    where: WhereOption = None,
    hybrid: of.HybridFlag = False,
    centred: of.CentredFlag = None,
    prompt: of.PromptOption = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Show why a file ranks where it does: each term's share, scores, filters, ranks.

    Example: searchkit explain 'audio:bark.wav + 0.5*text:snow' photos/dog.jpg
    """
    from searchkit.library import open_library

    opening = open_library(library, create=False, read_only=True, model=model, model_dir=model_dir)
    with waiting("searching"), opening as opened:
        why = opened.explain(
            query, path, to=to, where=where, hybrid=hybrid, centred=centred, prompts=prompt or ()
        )
    if json:
        print_json(why.to_dict())
        return
    line(f"{shown_path(why.path)}  segment {why.segment_id}  ({why.modality.value})")
    line(f"rank      {_rank(why)}")
    if why.ranks:
        line(f"lists     {', '.join(f'{rank} in {name}' for name, rank in why.ranks.items())}")
    nth = f"{why.collection_rank} of {why.collection_size} in {why.collection}"
    line(f"there     {nth}")
    line(f"score     {why.score:.4f} (cosine)")
    if why.match is not None:
        above = "" if why.z is None else f", {why.z:+.1f} spreads above unrelated segments"
        line(f"match     {why.match:.0%}{above}")
    if why.caption:
        likely = "" if why.caption_match is None else f"{why.caption_match:.0%}, "
        line(f"beside    {likely}{' '.join(why.caption.split())}")
    for part in why.filters:
        line(f"filter    {part.source}: {'passed' if part.passed else 'not passed'}")
    rows = [
        (f"{term.weight:+g}", term.source, f"{term.similarity:.4f}", f"{term.contribution:+.4f}")
        for term in why.terms
    ]
    table(("weight", "term", "similarity", "share"), [*rows, ("", "sum", "", f"{why.score:+.4f}")])


def _rank(why: Explanation) -> str:
    if why.copy_of is not None:
        return f"{why.rank}, as a copy of {shown_path(why.copy_of)}"
    if why.rank is None and not all(part.passed for part in why.filters):
        return "none, by the filter"
    return str(why.rank or "not among the first 1000")

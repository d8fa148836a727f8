"""Options that make up a query and the way it is searched; ``query`` and ``explain`` share them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "AllFlag",
    "AudioOption",
    "CentredFlag",
    "CutoffOption",
    "DiverseFlag",
    "ExprOption",
    "FuseOption",
    "HtmlOption",
    "HybridFlag",
    "ImageOption",
    "LikeOption",
    "MinusAudioOption",
    "MinusImageOption",
    "MinusTextOption",
    "MinusVideoOption",
    "OpenFlag",
    "PreviewsFlag",
    "PromptOption",
    "SaveOption",
    "SpansFlag",
    "TextOption",
    "UnlikeOption",
    "VideoOption",
    "WordsArgument",
]

_Repeated = list[str] | None

WordsArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TEXT]", help="Words, the query grammar, or @NAME.", show_default=False),
]
TextOption: TypeAlias = Annotated[_Repeated, typer.Option("--text", help="Words.", show_default=False)]
AudioOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--audio", help="A sound file.", show_default=False)
]
ImageOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--image", help="A picture file.", show_default=False)
]
VideoOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--video", help="A video file.", show_default=False)
]
MinusTextOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--minus-text", help="Words to steer away from.", show_default=False)
]
MinusAudioOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--minus-audio", help="A sound to steer away from.", show_default=False)
]
MinusImageOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--minus-image", help="A picture to steer away from.", show_default=False)
]
MinusVideoOption: TypeAlias = Annotated[
    _Repeated, typer.Option("--minus-video", help="A video to steer away from.", show_default=False)
]
ExprOption: TypeAlias = Annotated[
    _Repeated,
    typer.Option("--expr", help="A sum of terms: 'audio:bark.wav + 0.5*text:\"snow\"'.", show_default=False),
]
LikeOption: TypeAlias = Annotated[
    list[int] | None,
    typer.Option(
        "--like", metavar="ID", help="Move towards a result: its segment_id of --json.", show_default=False
    ),
]
UnlikeOption: TypeAlias = Annotated[
    list[int] | None,
    typer.Option("--unlike", metavar="ID", help="Move away from a result.", show_default=False),
]
PromptOption: TypeAlias = Annotated[
    _Repeated,
    typer.Option(
        "--prompt", help="What to embed for words: 'a photo of {}'; several average.", show_default=False
    ),
]
SpansFlag: TypeAlias = Annotated[
    bool, typer.Option("--spans", help="Every matching span, not the best of each file.")
]
DiverseFlag: TypeAlias = Annotated[
    bool, typer.Option("--diverse", help="Prefer results that differ from those before them.")
]
HybridFlag: TypeAlias = Annotated[
    bool, typer.Option("--hybrid", help="Also search names, folders and passages by word.")
]
CentredFlag: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--centred/--raw", help="Subtract each modality's mean before comparing, or not.", show_default=False
    ),
]
FuseOption: TypeAlias = Annotated[
    str,
    typer.Option("--fuse", help="How modalities interleave: 'calibrated' by what scores mean, or 'rrf'."),
]
AllFlag: TypeAlias = Annotated[bool, typer.Option("--all", help="Also show what is no good match.")]
CutoffOption: TypeAlias = Annotated[
    float | None,
    typer.Option("--cutoff", help="Lowest probability of a good match, 0 to 1.", show_default=False),
]
SaveOption: TypeAlias = Annotated[
    str | None, typer.Option("--save", metavar="NAME", help="Keep it; @NAME recalls it.", show_default=False)
]
PreviewsFlag: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--previews/--no-previews", help="On a terminal, show pictures and sounds beside their names."
    ),
]
HtmlOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Also write a page that shows the results.", show_default=False
    ),
]
OpenFlag: TypeAlias = Annotated[
    bool, typer.Option("--open", help="Open the page of --html, otherwise the best result.")
]

"""``searchkit demo``: index the sample media and search them in four ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from searchkit.cli.index import summary
from searchkit.cli.output import line, print_results
from searchkit.cli.progress import open_progress
from searchkit.errors import UsageError

__all__ = ["demo"]


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the sample media lie.", show_default=False)] = Path(
        "sample_media"
    ),
    library: Annotated[Path, typer.Option("--library", help="Where to make the library.")] = Path(
        ".demo/library"
    ),
) -> None:
    """Index the sample media, then search with words, a sound, a picture, and words plus a sound.

    Example: searchkit demo sample_media --library /tmp/demo
    """
    from searchkit import audio, image, text
    from searchkit.library import open_library

    sound, picture = folder / "sounds" / "dog_barking.ogg", folder / "photos" / "train_at_station.jpg"
    missing = [path for path in (sound, picture) if not path.is_file()]
    if missing:
        raise UsageError(
            f"the sample media are not here: no {missing[0]}",
            hint="run it in a checkout of searchkit: searchkit demo sample_media",
        )
    with open_library(library) as opened:
        with open_progress() as progress:
            report = opened.index(folder, progress=progress)
        summary(report)
        searches = (
            ("words", text("a church bell"), None),
            ("a sound", audio(sound), "image"),
            ("a picture", image(picture), "audio"),
            ("words plus a sound", 0.5 * text("in the snow") + audio(sound), "image"),
        )
        for kind, value, to in searches:
            line()
            line(f"search with {kind}: {value}" + (f"  (to {to})" if to else ""))
            print_results(opened.search(value, to=to, k=4))

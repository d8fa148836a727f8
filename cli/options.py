"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from searchkit.cli.hints import remember_library

__all__ = [
    "CatalogOption",
    "HeldoutOption",
    "JsonFlag",
    "LibraryOption",
    "ModelDirOption",
    "ModelOption",
    "OutFolderOption",
    "RayCoresOption",
    "RayOption",
    "SeedOption",
    "StoreOption",
    "ToOption",
    "WhereOption",
]

LibraryOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--library",
        help="The library's folder (default: SEARCHKIT_LIBRARY, else the user's data folder).",
        show_default=False,
        callback=remember_library,
    ),
]
ModelOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="The model; `searchkit models list` shows all (default: the library's, mini in a new one).",
        show_default=False,
    ),
]
ModelDirOption: TypeAlias = Annotated[
    Path | None, typer.Option("--model-dir", help="Where the model's files lie.", show_default=False)
]
OutFolderOption: TypeAlias = Annotated[Path, typer.Option("--out", help="The model's folder, to be made.")]
HeldoutOption: TypeAlias = Annotated[
    float, typer.Option("--heldout", help="Share of the files that is only measured on.")
]
SeedOption: TypeAlias = Annotated[int, typer.Option("--seed", help="The same seed gives the same model.")]
CatalogOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        help="Where a new library keeps its catalog, if not in a file: postgresql://USER@HOST/DATABASE.",
        show_default=False,
    ),
]
StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Where a new library keeps its vectors: faiss, qdrant://HOST:PORT, qdrant+local:FOLDER.",
        show_default=False,
    ),
]
RayOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Decode and embed on a Ray cluster: auto, HOST:PORT, or local for one that is started here.",
        show_default=False,
    ),
]
RayCoresOption: TypeAlias = Annotated[
    int,
    typer.Option("--ray-cores", help="Cores for each model on the cluster (0: a GPU's share, else 4)."),
]
ToOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--to",
        help="What to find: image, audio, video, text, depth ..., or several with commas.",
        show_default=False,
    ),
]
WhereOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--where", help="Only these files: 'path:2019/** AND duration_s<10'.", show_default=False),
]
JsonFlag: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

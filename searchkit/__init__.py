"""searchkit: cross-modal search over folders of photos, sounds, videos and texts.

::

    import searchkit as sk

    with sk.open_library("./my-library") as library:
        library.index("./photos", "./sounds")
        for result in library.search(sk.audio("bark.wav") + 0.5 * sk.text("in the snow"), to="image", k=10):
            print(result.score, result.path)

Names load when they are first used: ``import searchkit`` itself is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from searchkit import errors
from searchkit._version import __version__

if TYPE_CHECKING:
    from searchkit.client import Client
    from searchkit.errors import SearchkitError
    from searchkit.library import Library, import_library, open_library
    from searchkit.modality import Plug, register_plug
    from searchkit.query import Query, audio, image, parse, reading, segment, text, video
    from searchkit.status import LibraryStatus
    from searchkit.types import (
        ArraySample,
        AudioSample,
        ImageSample,
        Modality,
        Result,
        Results,
        Space,
        Span,
        TextSample,
    )

__all__ = [
    "ArraySample",
    "AudioSample",
    "Client",
    "ImageSample",
    "Library",
    "LibraryStatus",
    "Modality",
    "Plug",
    "Query",
    "Result",
    "Results",
    "SearchkitError",
    "Space",
    "Span",
    "TextSample",
    "__version__",
    "audio",
    "errors",
    "image",
    "import_library",
    "open_library",
    "parse",
    "reading",
    "register_plug",
    "segment",
    "text",
    "video",
]

_HOMES = {
    "searchkit.client": ("Client",),
    "searchkit.library": ("Library", "import_library", "open_library"),
    "searchkit.status": ("LibraryStatus",),
    "searchkit.errors": ("SearchkitError",),
    "searchkit.query": ("Query", "audio", "image", "parse", "reading", "segment", "text", "video"),
    "searchkit.modality": ("Plug", "register_plug"),
    "searchkit.types": (
        "ArraySample",
        "AudioSample",
        "ImageSample",
        "Modality",
        "Result",
        "Results",
        "Space",
        "Span",
        "TextSample",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'searchkit' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""What an asset is to the person who searches, and the table that makes a further modality a plug.

Four modalities are built into the decoders; any other is one module with a ``Plug``, named in ``BUILT_IN``
or under the entry point group ``searchkit.modalities`` of any installed package. Names are known without
importing what they name; installed packages are asked only about a name that is not known otherwise.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from searchkit.errors import DependencyMissing, ModalityUnsupported

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from searchkit.types import ArraySample, FloatArray

__all__ = ["BUILT_IN", "ENTRY_POINTS", "Modality", "Plug", "load_object", "plug_of", "register_plug"]

ENTRY_POINTS = "searchkit.modalities"

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "depth": "searchkit.modalities.depth:PLUG",
        "normal": "searchkit.modalities.normal:PLUG",
        "points": "searchkit.modalities.points:PLUG",
        "imu": "searchkit.modalities.imu:PLUG",
        "fmri": "searchkit.modalities.fmri:PLUG",
    }
)
"""Where the plugs lie that ship with searchkit."""

_CLASSIC = ("text", "image", "audio", "video")
_NAME = re.compile(r"[a-z]{2,16}")
_lock = threading.RLock()


class _ModalityType(type):
    """Makes the class a collection of the modalities that are known, the built-in ones first."""

    def __iter__(cls) -> Iterator[Modality]:
        return iter(tuple(_known.values()))

    def __len__(cls) -> int:
        return len(_known)

    def __contains__(cls, name: object) -> bool:
        return isinstance(name, str) and Modality.named(name) is not None


class Modality(str, metaclass=_ModalityType):
    """A modality's name, one object a name: ``Modality("depth") is Modality("depth")``.

    Video is images plus sound over time. On disk and in JSON a modality is its name.

    Raises:
        ValueError: no modality is called so, here or in any installed package.
    """

    __slots__ = ()

    TEXT: ClassVar[Modality]
    IMAGE: ClassVar[Modality]
    AUDIO: ClassVar[Modality]
    VIDEO: ClassVar[Modality]

    def __new__(cls, name: str) -> Modality:
        """The one object of that name."""
        found = cls.named(name)
        if found is None:
            raise ValueError(f"{name!r} is not a modality")
        return found

    @classmethod
    def named(cls, name: str) -> Modality | None:
        """The modality of that name, None when there is none."""
        if name not in _known and _NAME.fullmatch(name):
            _find_installed()
        return _known.get(name)

    @classmethod
    def stored(cls, name: str) -> Modality:
        """As a library noted it; what adds it need not be installed any more."""
        return cls.named(name) or _know(name)

    @property
    def value(self) -> str:
        """The name as a plain string."""
        return str(self)

    @property
    def is_plugged(self) -> bool:
        """Whether a plug decodes it, and not searchkit.media itself."""
        return self not in _CLASSIC

    def __repr__(self) -> str:
        return f"Modality({str(self)!r})"

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        _find_installed()
        return {"type": "string", "enum": [modality.value for modality in cls]}


_known: dict[str, Modality] = {}
_homes: dict[str, str] = dict(BUILT_IN)
_plugs: dict[str, Plug] = {}
_asked_packages = False


def _know(name: str) -> Modality:
    with _lock:
        if name not in _known:
            _known[name] = str.__new__(Modality, name)
        return _known[name]


for _name in (*_CLASSIC, *BUILT_IN):
    _know(_name)
Modality.TEXT, Modality.IMAGE = _known["text"], _known["image"]
Modality.AUDIO, Modality.VIDEO = _known["audio"], _known["video"]


@dataclass(frozen=True, slots=True)
class Plug:
    """One modality: how its files are told, decoded, and made ready for its adapter.

    A module that defines one must be cheap to import: no torch at its top.

    Attributes:
        name: one lower-case word; what ``depth:FILE`` and ``--to depth`` say.
        noun: with its article, for messages: "a depth map".
        extensions: names whose files promise it, such as ".pfm"; a broken one is then an error to report.
        sniff: path and first 32 kB to a media type such as "image/x-depth"; None when the file is none.
        decode: path to samples; raises DecodeError. Called in a process of its own while indexing.
        prepare: a sample's values and the adapter's options (with ``size_px``) to an array of fixed shape,
            which does not depend on other samples.
        adapter: "package.module:name" of what makes the adapter from (options, AdapterContext); needs torch.
        options: defaults of the adapter's section in a model's configuration.
        facts: path to what a file says about itself, by the field names of ``searchkit.media.Facts``.
        preview: a sample's values to (H, W, 3) uint8 for a thumbnail; None where there is nothing to see.
        revision: raise it when decode or prepare change what a model sees.
    """

    name: str
    noun: str
    extensions: tuple[str, ...]
    sniff: Callable[[Path, bytes], str | None]
    decode: Callable[[Path], Iterator[ArraySample]]
    prepare: Callable[[FloatArray, Mapping[str, Any]], FloatArray]
    adapter: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Callable[[Path], Mapping[str, int | float | str]] | None = None
    preview: Callable[[FloatArray], npt.NDArray[np.uint8]] | None = None
    revision: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in (*_CLASSIC, "id"):
            raise ValueError(f"a modality's name is one free word in lower case, got {self.name!r}")

    @property
    def modality(self) -> Modality:
        """Its name as a modality."""
        return _know(self.name)


def register_plug(plug: Plug) -> None:
    """Make a modality known in this process; installed packages use the entry point group instead.

    Decoding in other processes knows only what is installed: use ``decoder="threads"`` with this.

    Raises:
        ValueError: another plug has that name.
    """
    with _lock:
        if plug.name in _homes or _plugs.get(plug.name, plug) is not plug:
            raise ValueError(f"a modality called {plug.name!r} is there already")
        _plugs[plug.name] = plug
        _know(plug.name)


def plug_of(name: str) -> Plug:
    """The plug of a modality, imported when it is first asked for.

    Raises:
        ModalityUnsupported: nothing installed adds that modality, or what does cannot be imported.
    """
    if name in _plugs:
        return _plugs[name]
    if name not in _homes:
        _find_installed()
    home = _homes.get(name)
    if home is None:
        raise ModalityUnsupported(
            f"no modality is called {name!r} here",
            hint=f"install the package that adds it; known are {', '.join(Modality)}",
        )
    plug = load_object(home)
    if not isinstance(plug, Plug) or plug.name != name:
        raise ModalityUnsupported(f"{home} is no plug for the modality {name!r}")
    with _lock:
        return _plugs.setdefault(name, plug)


def load_object(home: str) -> Any:
    """What "package.module:name" names.

    Raises:
        DependencyMissing: torch is not installed.
        ModalityUnsupported: it cannot be imported.
    """
    module, _, attribute = home.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "safetensors"):
            raise DependencyMissing(error.name, "one-peace") from error
        raise ModalityUnsupported(f"{home} cannot be imported: {error}") from error
    except (ImportError, AttributeError) as error:
        raise ModalityUnsupported(f"{home} cannot be imported: {error}") from error


def _find_installed() -> None:
    """Note what installed packages add; the first plug of a name wins, searchkit's own before all."""
    global _asked_packages
    with _lock:
        if _asked_packages:
            return
        # Takes longer to import than all of a text query, and most libraries have no plug.
        from importlib.metadata import entry_points

        for entry in entry_points(group=ENTRY_POINTS):
            if _NAME.fullmatch(entry.name) and entry.name not in (*_CLASSIC, "id"):
                _homes.setdefault(entry.name, entry.value)
                _know(entry.name)
        _asked_packages = True

"""Has the commands that hints name work on the library that was chosen, so that they can be pasted."""

from __future__ import annotations

import re
import shlex
from contextvars import ContextVar
from pathlib import Path

__all__ = ["forget_library", "on_chosen_library", "remember_library"]

_CHOSEN: ContextVar[Path | None] = ContextVar("chosen", default=None)
_COMMAND = re.compile(
    r"\bsearchkit (dupes|errors|explain|export|index|query|remove|runs|saved|serve|status|tag|verify|watch)\b"
)


def remember_library(library: Path | None) -> Path | None:
    """What ``--library`` says; the option's callback."""
    _CHOSEN.set(library)
    return library


def forget_library() -> None:
    """Before a command is parsed."""
    _CHOSEN.set(None)


def on_chosen_library(hint: str) -> str:
    """The hint, with ``--library`` where it names a command that would else take the default library."""
    library = _CHOSEN.get()
    if library is None or "--library" in hint:
        return hint
    chosen = f" --library {shlex.quote(str(library))}"
    return _COMMAND.sub(lambda command: command.group() + chosen, hint)

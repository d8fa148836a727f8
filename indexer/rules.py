"""Which files a walk passes over: hidden and system files, libraries, ``.searchkitignore``, patterns.

Patterns are those of git: ``*.tmp``, ``private/``, ``/only/here``, ``!but-not-this``. A ``.searchkitignore``
holds in its folder and below; a deeper one comes first. A folder that is passed over is not entered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

from searchkit.catalog import CATALOG_FILE
from searchkit.config import SETTINGS_FILE
from searchkit.errors import UsageError, reason_of

__all__ = [
    "IGNORE_FILE",
    "LIBRARY_FILES",
    "Rules",
    "is_hidden",
    "is_of_library",
    "make_patterns",
    "make_rules",
    "passed_over",
]

IGNORE_FILE = ".searchkitignore"

# A folder that holds both is a library.
LIBRARY_FILES = frozenset({CATALOG_FILE, SETTINGS_FILE})
_OF_A_LIBRARY = frozenset({SETTINGS_FILE, "vectors", "backups", "cache", "token.scrypt", "writer.lock"})

_SYSTEM_NAMES = frozenset(
    {
        "Thumbs.db",
        "desktop.ini",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
        "@eaDir",
        "__MACOSX",
    }
)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over everywhere."""
    return name.startswith(".") or name in _SYSTEM_NAMES


def is_of_library(name: str) -> bool:
    """Whether a file or folder of this name, in a library's folder, is the library's own and no media."""
    return name in _OF_A_LIBRARY or name.startswith(CATALOG_FILE)


class Rules:
    """The rules that hold in one folder.

    Args:
        specs: folders with the patterns that hold below each, outermost first.
    """

    __slots__ = ("_specs",)

    def __init__(self, specs: Sequence[tuple[str, GitIgnoreSpec]] = ()) -> None:
        self._specs = tuple(specs)

    def below(self, folder: str, *, has_file: bool) -> Rules:
        """The rules in a folder below; ``has_file`` says whether an ignore file was seen there.

        Raises:
            UsageError: the ignore file cannot be read, or holds a pattern that is none.
        """
        if not has_file:
            return self
        path = Path(folder, IGNORE_FILE)
        try:
            lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
        return Rules((*self._specs, (folder, _spec(lines, str(path)))))

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether patterns exclude a path; the innermost folder that says anything decides."""
        for folder, spec in reversed(self._specs):
            verdict = spec.check_file(path[len(folder) + 1 :] + ("/" if is_folder else "")).include
            if verdict is not None:
                return verdict
        return False


def make_patterns(root: str, exclude: Sequence[str]) -> Rules:
    """The caller's patterns alone, relative to a root.

    Raises:
        UsageError: a pattern is none.
    """
    return Rules([(root.rstrip("/"), _spec(exclude, "--exclude"))] if exclude else [])


def make_rules(root: str, folder: str, exclude: Sequence[str] = ()) -> Rules:
    """The rules that hold in a folder at or below a root, before the folder's own ignore file is read.

    Args:
        root: where ``exclude`` is relative to, and from where on ignore files count.
        folder: the root, or a folder below it.
        exclude: patterns of the caller.

    Raises:
        UsageError: a pattern is none, or an ignore file cannot be read.
    """
    root = root.rstrip("/")
    rules = make_patterns(root, exclude)
    if folder.rstrip("/") == root:
        return rules
    at = root
    for name in folder[len(root) + 1 :].rstrip("/").split("/"):
        rules = rules.below(at, has_file=Path(at, IGNORE_FILE).is_file())
        at = f"{at}/{name}"
    return rules


def passed_over(root: str, path: str, rules: Rules) -> bool:
    """Whether a path below a root lies in, or is, something that a walk of the root would pass over."""
    at = root.rstrip("/")
    names = path[len(at) + 1 :].split("/")
    for depth, name in enumerate(names):
        if is_of_library(name) and all(Path(at, own).is_file() for own in LIBRARY_FILES):
            return True
        at = f"{at}/{name}"
        is_folder = depth < len(names) - 1 or Path(at).is_dir()
        if is_hidden(name) or rules.ignores(at, is_folder=is_folder):
            return True
    return False


def _spec(lines: Sequence[str], source: str) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise UsageError(
            f"{source}: {error}", hint="patterns are those of .gitignore: *.tmp, private/, !keep.jpg"
        ) from error

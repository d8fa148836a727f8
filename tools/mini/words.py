"""Read the tables of everyday words: class index -> words, the most specific first."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClassWords:
    """The words of one class; `vague` classes name no source and count less in the bridge."""

    words: tuple[str, ...]
    vague: bool = False


def read_words(path: Path, class_count: int) -> list[ClassWords]:
    """Read a table; a class gets the words of its narrowest range first, then those of wider ranges."""
    found: list[list[tuple[int, int, list[str]]]] = [[] for _ in range(class_count)]
    vague: list[list[str]] = [[] for _ in range(class_count)]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if not line.strip() or line.startswith("#"):
            continue
        span, _, words = line.lstrip("-").partition(" ")
        first, _, last = span.partition("-")
        indices = range(int(first), int(last or first) + 1)
        listed = [word.strip() for word in words.split("|")]
        for index in indices:
            if line.startswith("-"):
                vague[index] = listed
            else:
                found[index].append((len(indices), number, listed))
    missing = [index for index in range(class_count) if not found[index] and not vague[index]]
    if missing:
        raise ValueError(f"{path.name} has no words for the classes {missing}")
    table = []
    for index, lines in enumerate(found):
        ordered = [word for _, _, listed in sorted(lines) for word in listed]
        table.append(ClassWords(tuple(dict.fromkeys(ordered or vague[index])), vague=not ordered))
    return table

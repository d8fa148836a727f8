"""Compares what is on disk with what the catalog knows: pure functions, without files or a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from searchkit.catalog.assets import KnownAsset
from searchkit.catalog.tables import EmbeddingState
from searchkit.catalog.types import encode_path
from searchkit.indexer.scan import Found, Seen, Unreadable

__all__ = ["Move", "Step", "Verdict", "compare", "match_moves"]


class Verdict(StrEnum):
    """What has to be done with a file.

    NEW: the catalog does not know it. CHANGED: its stat differs; its content may still be the same. AGAIN: it
    is not embedded in this space by this recipe. SAME: nothing. SKIPPED: nothing, it is known to be no media.
    FAILED: nothing, it failed earlier with the same stat. UNREADABLE: it cannot even be looked at. GONE: it
    was not found.
    """

    NEW = "new"
    CHANGED = "changed"
    AGAIN = "again"
    SAME = "same"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    GONE = "gone"


@dataclass(slots=True)
class Step:
    """A file and its verdict; ``known`` is a KnownAsset or a row with the same attributes."""

    verdict: Verdict
    seen: Seen | None
    known: Any


@dataclass(frozen=True, slots=True)
class Move:
    """A known asset whose file lies at another place now."""

    known: KnownAsset
    found: Found


def compare(
    seen: Iterable[Seen], known: Iterable[tuple[str, Any]], *, recipe: str, retry_failed: bool = False
) -> Iterator[Step]:
    """Walk both lists side by side and judge each file once; neither list is held in memory.

    Args:
        seen: what the scan saw, in order of its path as the catalog spells it.
        known: the catalog's assets in the same order, each with that spelling.
        recipe: identity of the decoding settings; assets embedded by another are embedded again.
        retry_failed: try files again that failed with the same stat.
    """
    rows = iter(known)
    raw, row = next(rows, _END)
    closed = ""
    for entry in seen:
        key = encode_path(entry.path)
        if isinstance(entry, Unreadable) and entry.is_folder:
            key += "/"
        while row is not None and raw < key:
            yield _unseen(raw, row, closed)
            raw, row = next(rows, _END)
        here = None
        if row is not None and raw == key:
            here = row
            raw, row = next(rows, _END)
        if isinstance(entry, Unreadable):
            closed = key if entry.is_folder else closed
            yield Step(_judge_unreadable(entry, here), entry, here)
        else:
            yield Step(_judge(entry, here, recipe, retry_failed), entry, here)
    while row is not None:
        yield _unseen(raw, row, closed)
        raw, row = next(rows, _END)


_END: tuple[str, Any] = ("", None)
# Looked up once: a member of an enumeration costs more than all else that an unchanged file does here.
_READY, _SKIPPED, _FAILED = (
    state.value for state in (EmbeddingState.READY, EmbeddingState.SKIPPED, EmbeddingState.FAILED)
)
_SAME = Verdict.SAME


def _unseen(raw: str, row: Any, closed: str) -> Step:
    # Of what lies below a folder that cannot be listed nothing is known, so that it stays.
    stays = bool(closed) and raw.startswith(closed)
    return Step(Verdict.SAME if stays else Verdict.GONE, None, row)


def _judge(entry: Found, row: Any, recipe: str, retry_failed: bool) -> Verdict:
    if row is None:
        return Verdict.NEW
    if row.mtime_ns != entry.mtime_ns or row.size_bytes != entry.size_bytes:
        return Verdict.CHANGED
    state = row.state
    if state == _READY and row.recipe == recipe:
        return _SAME
    if state == _SKIPPED:
        return Verdict.SKIPPED
    if state == _FAILED and row.recipe == recipe and not retry_failed:
        return Verdict.FAILED
    return Verdict.AGAIN


def _judge_unreadable(entry: Unreadable, row: Any) -> Verdict:
    noted = row is not None and row.state == _FAILED and row.error == entry.reason
    return Verdict.FAILED if noted else Verdict.UNREADABLE


def match_moves(
    gone: Sequence[KnownAsset], new: Sequence[Found], hashes: Mapping[str, str]
) -> tuple[list[Move], list[KnownAsset], list[Found]]:
    """Pair assets that are gone with new files of the same content.

    Args:
        gone: assets whose file was not found.
        new: files that the catalog does not know.
        hashes: content hashes of new files, by path; files without one match nothing.

    Returns:
        The moves, the assets that are really gone, the files that are really new. An asset and a file with
        the same name are paired first.
    """
    by_hash: dict[str, list[KnownAsset]] = {}
    for asset in gone:
        if asset.content_hash is not None:
            by_hash.setdefault(asset.content_hash, []).append(asset)
    waiting = {
        hashed: {asset.path.rsplit("/", 1)[-1] for asset in assets} for hashed, assets in by_hash.items()
    }
    moves: list[Move] = []
    really_new: list[Found] = []
    # Files that kept their name choose first, so that no other file takes their asset.
    for entry in sorted(
        new, key=lambda e: e.path.rsplit("/", 1)[-1] not in waiting.get(hashes.get(e.path, ""), ())
    ):
        candidates = by_hash.get(hashes.get(entry.path, ""), [])
        if not candidates:
            really_new.append(entry)
            continue
        name = entry.path.rsplit("/", 1)[-1]
        best = next((a for a in candidates if a.path.rsplit("/", 1)[-1] == name), candidates[0])
        candidates.remove(best)
        moves.append(Move(best, entry))
    moved = {move.known.id for move in moves}
    return moves, [asset for asset in gone if asset.id not in moved], really_new

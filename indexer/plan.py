"""Compares what is on disk with what the catalog knows: a pure function, without files or a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from searchkit.catalog.assets import KnownAsset
from searchkit.catalog.tables import EmbeddingState
from searchkit.indexer.scan import Found

__all__ = ["Changed", "Move", "Plan", "make_plan", "match_moves"]


@dataclass(frozen=True, slots=True)
class Changed:
    """A known file that looks different, or whose content must be embedded again."""

    found: Found
    known: KnownAsset


@dataclass(frozen=True, slots=True)
class Move:
    """A known asset whose file lies at another place now."""

    known: KnownAsset
    found: Found


@dataclass(slots=True)
class Plan:
    """What has to be done; each file found or known is in exactly one list.

    Attributes:
        new: files that the catalog does not know.
        changed: known files whose stat differs; their content may still be the same.
        again: known files with the same stat that are not embedded in this space by this recipe.
        same: up to date.
        skipped: known not to be media.
        failed: failed earlier with the same stat; tried again only when asked.
        gone: known assets whose file was not found.
    """

    new: list[Found] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    again: list[Changed] = field(default_factory=list)
    same: list[KnownAsset] = field(default_factory=list)
    skipped: list[KnownAsset] = field(default_factory=list)
    failed: list[KnownAsset] = field(default_factory=list)
    gone: list[KnownAsset] = field(default_factory=list)


def make_plan(
    found: Iterable[Found],
    known: Mapping[str, KnownAsset],
    *,
    recipe: str,
    closed: Sequence[str] = (),
    retry_failed: bool = False,
) -> Plan:
    """Sort files into what has to be done with them.

    Args:
        found: what the scan saw.
        known: the catalog's assets within the scanned paths, by path.
        recipe: identity of the decoding settings; assets embedded by another are embedded again.
        closed: folders that could not be listed: assets below them are kept, not gone.
        retry_failed: try files again that failed with the same stat.
    """
    plan = Plan()
    present: set[str] = set()
    for entry in found:
        present.add(entry.path)
        asset = known.get(entry.path)
        if asset is None:
            plan.new.append(entry)
        elif (asset.size_bytes, asset.mtime_ns) != (entry.size_bytes, entry.mtime_ns):
            plan.changed.append(Changed(entry, asset))
        elif asset.state is EmbeddingState.FAILED and not retry_failed and asset.recipe == recipe:
            plan.failed.append(asset)
        elif asset.state is EmbeddingState.SKIPPED:
            plan.skipped.append(asset)
        elif asset.state is EmbeddingState.READY and asset.recipe == recipe:
            plan.same.append(asset)
        else:
            plan.again.append(Changed(entry, asset))
    prefixes = tuple(folder.rstrip("/") + "/" for folder in closed)
    for path, asset in known.items():
        if path in present:
            continue
        if prefixes and path.startswith(prefixes):
            plan.same.append(asset)
        else:
            plan.gone.append(asset)
    return plan


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
    moves: list[Move] = []
    really_new: list[Found] = []
    for entry in new:
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

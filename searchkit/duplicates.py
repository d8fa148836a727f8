"""Duplicates in a library: files of equal content or of nearly equal embedding; deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchkit.catalog import details
from searchkit.catalog.details import AssetDetails
from searchkit.errors import QueryError
from searchkit.query import Filter
from searchkit.query.candidates import Searchable
from searchkit.query.dupes import COPY_COSINE, connected, duplicate_pairs
from searchkit.types import Modality

if TYPE_CHECKING:
    from searchkit.reader import LibraryReader

__all__ = ["DuplicateFile", "DuplicateGroup", "find_duplicates"]

_SHARED = 0.5
_LENGTH_SHARED = 0.85


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    """One file of a group."""

    asset_id: int
    path: Path
    size_bytes: int
    date: str


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that are one another's duplicates, directly or through others.

    Attributes:
        kind: "exact" for equal content, "near" for embeddings that nearly coincide.
        modality: what they are.
        similarity: lowest cosine that holds the group together; 1 for equal content.
        files: two or more; of equal content the oldest first, else the largest first.
    """

    kind: str
    modality: Modality
    similarity: float
    files: tuple[DuplicateFile, ...]

    @property
    def spare_bytes(self) -> int:
        """What all but the first file take."""
        return sum(file.size_bytes for file in self.files[1:])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind,
            "modality": self.modality.value,
            "similarity": round(self.similarity, 6),
            "spare_bytes": self.spare_bytes,
            "files": [
                {
                    "path": str(file.path),
                    "asset_id": file.asset_id,
                    "size_bytes": file.size_bytes,
                    "date": file.date,
                }
                for file in self.files
            ],
        }


def find_duplicates(
    library: LibraryReader,
    searched: Sequence[Searchable],
    *,
    threshold: float | None = None,
    where: Filter | None = None,
    near: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[DuplicateGroup]:
    """Group a library's duplicates; see ``Library.duplicates``."""
    if threshold is not None and not 0 < threshold <= 1:
        raise QueryError(
            f"a threshold is a cosine above 0, up to 1, got {threshold}", hint="--threshold 0.97"
        )
    assets = _assets(library, searched, where)
    groups = _exact(assets)
    if near:
        links: dict[tuple[int, int], float] = {}
        for searchable in searched:
            lowest = COPY_COSINE if threshold is None else threshold
            for pair, cosine in _near(library, searchable, assets, lowest, progress).items():
                links[pair] = max(links.get(pair, -1.0), cosine)
        groups += _grouped(assets, links)
    return groups


def _assets(
    library: LibraryReader, searched: Sequence[Searchable], where: Filter | None
) -> dict[int, AssetDetails]:
    """The assets with READY segments in the collections, as far as the filter lets them through."""
    with library.catalog.read() as connection:
        ids = sorted({asset for s in searched for _, asset in details.points(connection, s.collection.id)})
        found = details.details(connection, ids)
    if where is None:
        return found
    return {key: asset for key, asset in found.items() if where.matches(asset, asset.tags)}


def _exact(assets: Mapping[int, AssetDetails]) -> list[DuplicateGroup]:
    by_content: dict[str, list[AssetDetails]] = {}
    for asset in assets.values():
        if asset.content_hash is not None:
            by_content.setdefault(asset.content_hash, []).append(asset)
    groups = [
        _group("exact", 1.0, sorted(same, key=lambda a: (a.mtime_ns, a.path)))
        for same in by_content.values()
        if len(same) > 1
    ]
    return sorted(groups, key=lambda group: (-group.spare_bytes, str(group.files[0].path)))


def _near(
    library: LibraryReader,
    searchable: Searchable,
    assets: Mapping[int, AssetDetails],
    threshold: float,
    progress: Callable[[str, int, int], None] | None,
) -> dict[tuple[int, int], float]:
    """Pairs of assets that share enough of their segments, with their best cosine."""
    with library.catalog.read() as connection:
        points = details.points(connection, searchable.collection.id)
    asset_of = {segment: asset for segment, asset in points if asset in assets}
    total = len(asset_of)
    name = f"{searchable.collection.modality.value}s"
    report = None if progress is None else lambda done: progress(name, done, total)
    matched: dict[tuple[int, int], tuple[set[int], set[int], float]] = {}
    for a, b, cosine in duplicate_pairs(searchable.store, threshold, sorted(asset_of), report):
        first, second = sorted(((asset_of[a], a), (asset_of[b], b)))
        if first[0] == second[0]:
            continue
        ours, theirs, best = matched.setdefault((first[0], second[0]), (set(), set(), -1.0))
        ours.add(first[1])
        theirs.add(second[1])
        matched[first[0], second[0]] = ours, theirs, max(best, cosine)
    held = Counter(asset_of.values())
    return {
        (a, b): cosine
        for (a, b), (ours, theirs, cosine) in matched.items()
        if max(len(ours) / held[a], len(theirs) / held[b]) >= _SHARED
        and (held[a] > 1 or held[b] > 1 or _as_long(assets[a], assets[b]))
    }


def _as_long(one: AssetDetails, other: AssetDetails) -> bool:
    """Whether two short sounds play about as long: two barks sound alike to a model, and are no copies."""
    if one.duration_s is None or other.duration_s is None:
        return True
    shorter, longer = sorted((one.duration_s, other.duration_s))
    return shorter >= _LENGTH_SHARED * longer


def _grouped(
    assets: Mapping[int, AssetDetails], links: Mapping[tuple[int, int], float]
) -> list[DuplicateGroup]:
    """Near-duplicates; groups that hold one content only are exact ones, and are left out."""
    groups = []
    for members in connected(links):
        chosen = [assets[member] for member in members]
        if len({asset.content_hash or asset.id for asset in chosen}) > 1:
            inside = set(members)
            cosine = min(value for (a, _), value in links.items() if a in inside)
            groups.append(_group("near", cosine, sorted(chosen, key=lambda a: (-a.size_bytes, a.path))))
    return sorted(groups, key=lambda group: (-group.similarity, str(group.files[0].path)))


def _group(kind: str, similarity: float, chosen: Iterable[AssetDetails]) -> DuplicateGroup:
    members = list(chosen)
    return DuplicateGroup(
        kind,
        members[0].modality or Modality.IMAGE,
        similarity,
        tuple(DuplicateFile(a.id, Path(a.path), a.size_bytes, a.date) for a in members),
    )

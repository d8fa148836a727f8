"""Groups of near-duplicates by embedding, from any store; it knows ids and vectors, and deletes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from searchkit.types import IdArray, VectorStore

__all__ = ["COPY_COSINE", "connected", "duplicate_pairs", "near_duplicates"]

COPY_COSINE = 0.97
"""Lowest cosine of near-duplicates, in every modality.

By benchmarks/duplicates.py for ``mini`` on sample_media: of pictures, four of five altered copies are found,
and no two different ones; of sounds, seven of ten. Of 114 effects and loops none is taken for another, of 166
samples of instruments 5 %.
"""

_BATCH = 256
_FIRST_K = 16


def near_duplicates(
    store: VectorStore,
    *,
    threshold: float = COPY_COSINE,
    among: Sequence[int] | IdArray | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Segments that are near-duplicates of one another, directly or through others.

    Args:
        store: the vectors of one modality.
        threshold: lowest cosine of a pair.
        among: the only ids to look at; None for all.
        progress: told after each batch how many segments were looked at.

    Returns:
        Groups of two or more ids, each ascending, in the order of their first ids.
    """
    return connected((a, b) for a, b, _ in duplicate_pairs(store, threshold, among, progress))


def duplicate_pairs(
    store: VectorStore,
    threshold: float,
    among: Sequence[int] | IdArray | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, int, float]]:
    """Pairs (a, b, cosine) with a < b and a cosine of at least the threshold, each once.

    A row whose list of neighbours is filled by near-duplicates is searched again for more of them, so no
    pair that the store can find is lost.
    """
    if not -1 <= threshold <= 1:
        raise ValueError(f"threshold must be a cosine in [-1, 1], got {threshold}")
    ids = np.asarray(store.ids() if among is None else np.unique(np.asarray(among)), dtype=np.int64)
    for start in range(0, len(ids), _BATCH):
        part = ids[start : start + _BATCH]
        k = min(_FIRST_K, len(ids))
        while len(part):
            found = store.search(store.fetch(part), k, among=None if among is None else ids)
            full = np.zeros(len(part), dtype=bool)
            for row, (id, hits) in enumerate(zip(part.tolist(), found, strict=True)):
                near = [hit for hit in hits if hit.score >= threshold]
                full[row] = len(near) == k < len(ids)
                if not full[row]:
                    yield from ((id, hit.id, hit.score) for hit in near if hit.id > id)
            part, k = part[full], min(k * 4, len(ids))
        if progress is not None:
            progress(min(start + _BATCH, len(ids)))


def connected(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Groups of ids that pairs connect (union-find with path halving), sorted within and among them."""
    parent: dict[int, int] = {}

    def root(member: int) -> int:
        while parent.setdefault(member, member) != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for a, b in pairs:
        parent[root(a)] = root(b)
    groups: dict[int, list[int]] = {}
    for member in parent:
        groups.setdefault(root(member), []).append(member)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)

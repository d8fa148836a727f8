"""Synthetic unit vectors shaped like the embeddings of a two-tower model; it knows nothing of stores.

Rows gather in topics and subtopics, their spectrum falls off by a power law, they lie in a cone (an offset
that all share), and two in a hundred are near-copies. Queries come in two kinds: ``in`` from the rows' own
distribution, and ``x`` as from another modality: another cone, loosely tied to the same topics.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["make_blocks", "make_queries", "write_rows"]

Floats = npt.NDArray[np.float32]

_TOPICS = 2000
_SUBTOPICS = 25
_BLOCK_ROWS = 10_000


class _World:
    def __init__(self, dim: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.spectrum = (np.arange(1, dim + 1) ** -0.35).astype(np.float32)
        self.spectrum *= np.float32(np.sqrt(dim / np.sum(self.spectrum**2)))
        # a random basis, so that no axis is special
        self.basis = np.linalg.qr(random.standard_normal((dim, dim)))[0].astype(np.float32)
        self.topics = self._draw(random, _TOPICS)
        self.subtopics = self._draw(random, _TOPICS * _SUBTOPICS)
        self.cone, self.other_cone = self._draw(random, 2)

    def _draw(self, random: np.random.Generator, count: int) -> Floats:
        dim = len(self.spectrum)
        return (random.standard_normal((count, dim), dtype=np.float32) * self.spectrum) @ self.basis

    def rows(self, random: np.random.Generator, count: int, *, across: bool = False) -> Floats:
        # popular topics have many more rows than others
        topic = np.minimum((random.pareto(1.0, count) * 40).astype(int), _TOPICS - 1)
        sub = topic * _SUBTOPICS + random.integers(0, _SUBTOPICS, count)
        noise = self._draw(random, count)
        if across:
            made = 0.55 * self.topics[topic] + 0.5 * self.subtopics[sub] + 0.9 * noise + 0.9 * self.other_cone
        else:
            made = 0.6 * self.topics[topic] + 0.6 * self.subtopics[sub] + 0.6 * noise + 0.5 * self.cone
        copies = np.flatnonzero(random.random(count) < 0.02)
        made[copies] = made[copies - 1] + 0.05 * noise[copies]
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made


@cache
def _world(dim: int, seed: int) -> _World:
    return _World(dim, seed)


def make_blocks(count: int, dim: int, *, seed: int = 0) -> Iterator[tuple[int, Floats]]:
    """Rows (count, dim) float32 piece by piece, each with the number of its first row; fewer are a prefix."""
    world = _world(dim, seed)
    for start in range(0, count, _BLOCK_ROWS):
        random = np.random.default_rng((seed, 1, start))
        yield start, world.rows(random, _BLOCK_ROWS)[: count - start]


def write_rows(path: Path, count: int, dim: int, *, seed: int = 0) -> None:
    """Write those rows to a raw file."""
    with path.open("wb") as file:
        for _, block in make_blocks(count, dim, seed=seed):
            file.write(block.tobytes())


def make_queries(count: int, dim: int, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Queries ``in`` and ``x``, each (count, dim) float32."""
    world = _world(dim, seed)
    return (
        world.rows(np.random.default_rng((seed, 2)), count),
        world.rows(np.random.default_rng((seed, 3)), count, across=True),
    )

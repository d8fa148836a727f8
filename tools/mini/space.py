"""Fit the bridges in closed form: anchor words, class tables, backgrounds; knows no files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.encoders.mini.bridge import ClassBridge, TextBridge, Whitening, join, unit

from .arrays import Array
from .words import ClassWords

ANCHORS = 512
ANCHOR_SIMILARITY = 0.7
TEMPERATURE = 0.05
DENSE_WEIGHT = 0.85
IMAGE_TEMPERATURE = 1.5
IMAGE_TOP, SOUND_TOP = 50, 8
IMAGE_FLOOR, SOUND_FLOOR = 1e-3, 1e-2
IMAGE_GAIN_POWER = 0.75
BACKGROUND_SHARE = 0.5
VAGUE_GAIN = 0.3
NAME_WEIGHT = 0.3
WORDS_A_CLASS, WORD_DECAY = 3, 0.5
HEAD_WEIGHT = 0.8
WHITENING, WHITENING_FLOOR = 0.25, 1e-3


@dataclass(frozen=True)
class Vocabulary:
    """Unit embeddings of all texts that the fit needs."""

    rows: dict[str, Array]

    def __getitem__(self, words: Sequence[str]) -> Array:
        return np.stack([self.rows[word] for word in words])


def choose_anchors(tables: Sequence[tuple[Sequence[ClassWords], float]], vocabulary: Vocabulary) -> list[str]:
    """The words that most classes share, without near-synonyms of words already taken.

    Args:
        tables: classes of a tower and how much each of its classes counts.
        vocabulary: embeddings of all words.
    """
    counts: dict[str, float] = {}
    for classes, weight in tables:
        for entry in classes:
            for rank, word in enumerate(entry.words[:WORDS_A_CLASS]):
                counts[word] = counts.get(word, 0.0) + weight * WORD_DECAY**rank
    taken: list[str] = []
    for word in sorted(counts, key=lambda word: -counts[word]):
        row = vocabulary[[word]][0]
        if not taken or float((vocabulary[taken] @ row).max()) < ANCHOR_SIMILARITY:
            taken.append(word)
        if len(taken) == ANCHORS:
            break
    return taken


def fit_text_bridge(anchors: Sequence[str], background: Sequence[str], vocabulary: Vocabulary) -> TextBridge:
    """Centre both parts on a background of everyday words."""
    rows = vocabulary[background]
    nothing = np.zeros(len(anchors), np.float32)
    bridge = TextBridge(vocabulary[anchors], TEMPERATURE, nothing, rows.mean(axis=0))
    return TextBridge(
        bridge.anchors, TEMPERATURE, np.sqrt(bridge.spread(rows)).mean(axis=0), bridge.dense_mean
    )


def fit_whitening(words: Sequence[str], text: TextBridge, vocabulary: Vocabulary) -> Whitening:
    """A part of the way to equal spread in all directions, by the vectors of everyday words."""
    rows = join(*text(vocabulary[words]), DENSE_WEIGHT).astype(np.float64)
    rows -= rows.mean(axis=0)
    spread, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    spread = np.maximum(spread, 0) + WHITENING_FLOOR * spread.max()
    matrix = (directions * (spread / spread.max()) ** (-WHITENING / 2)) @ directions.T
    diagonal = np.diagonal(matrix).astype(np.float32)
    return Whitening(diagonal, (matrix - np.diag(diagonal)).astype(np.float32))


def class_tables(
    classes: Sequence[ClassWords], names: Sequence[str], text: TextBridge, vocabulary: Vocabulary
) -> tuple[Array, Array]:
    """Each class's distribution over the anchors (c, a) and its centred text embedding (c, t)."""
    anchors, dense = [], []
    for entry, name in zip(classes, names, strict=True):
        words = entry.words[:WORDS_A_CLASS]
        weights = WORD_DECAY ** np.arange(len(words), dtype=np.float32)
        rows = vocabulary[words]
        anchors.append(weights @ text.spread(rows) / weights.sum())
        meaning = unit(weights @ rows) + NAME_WEIGHT * unit(vocabulary[synonyms(name)].sum(axis=0))
        dense.append(unit(meaning) - text.dense_mean)
    return np.array(anchors, np.float32), np.array(dense, np.float32)


def fit_class_bridge(gain: Array, top: int, anchors: Array, dense: Array, background: Array) -> ClassBridge:
    """Centre both parts half-way between background probabilities (N, c) and the mean of the classes."""
    share = BACKGROUND_SHARE
    zeros = np.zeros(anchors.shape[1], np.float32), np.zeros(dense.shape[1], np.float32)
    plain = ClassBridge(gain, top, anchors, dense, *zeros)
    parts = [plain(row) for row in background]
    anchor_mean = share * np.mean([a for a, _ in parts], axis=0) + (1 - share) * unit(np.sqrt(anchors)).mean(
        axis=0
    )
    dense_mean = share * np.mean([d for _, d in parts], axis=0) + (1 - share) * unit(dense).mean(axis=0)
    return ClassBridge(
        gain, top, anchors, dense, anchor_mean.astype(np.float32), dense_mean.astype(np.float32)
    )


def caption_rows(
    captions: Sequence[Sequence[str]], text: TextBridge, whitening: Whitening, vocabulary: Vocabulary
) -> tuple[list[list[int]], Array]:
    """Which rows tell of each drawing, and the rows: the captions as unit vectors (T, a + t) of the space."""
    words = sorted({caption for entry in captions for caption in entry})
    place = {word: index for index, word in enumerate(words)}
    rows = whitening(join(*text(vocabulary[words]), DENSE_WEIGHT))
    return [[place[caption] for caption in entry] for entry in captions], rows


def synonyms(name: str) -> list[str]:
    """The comma-separated names of a class."""
    return [part.strip() for part in name.split(",")]

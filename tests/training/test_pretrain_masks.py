"""Masks hide whole words, exact shares of patches and frames, and never cls, eos or padding."""

from __future__ import annotations

import numpy as np
import pytest

from searchkit.one_peace.tokenizer import TextTokenizer
from searchkit.training.pretrain.masks import mask_frames, mask_patches, mask_words, stack_masks


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(0)


def test_words_are_hidden_whole(chance: np.random.Generator) -> None:
    ids, words = TextTokenizer.built_in().encode_words("a saxophonist plays, unaccompanied")
    assert len(words) == len(ids) - 1
    assert len(set(words)) == 4
    for _ in range(50):
        mask = mask_words(words, 0.4, chance)
        assert len(mask) == len(ids) + 1
        assert not mask[0]
        assert not mask[-1]
        hidden = {word for word, masked in zip(words, mask[1:-1], strict=True) if masked}
        assert len(hidden) == 2
        assert mask.sum() == sum(word in hidden for word in words)


def test_a_text_of_one_word_hides_it(chance: np.random.Generator) -> None:
    assert mask_words([1, 1], 0.15, chance).tolist() == [False, True, True, False]


def test_patches_are_hidden_to_the_exact_share(chance: np.random.Generator) -> None:
    mask = mask_patches(256, 0.75, chance)
    assert mask.sum() == 192
    assert not mask[0]


@pytest.mark.parametrize("count", [3, 50, 124])
def test_frames_are_hidden_in_spans_to_the_exact_share(chance: np.random.Generator, count: int) -> None:
    mask = mask_frames(count, 0.55, 5, chance)
    assert mask.sum() == round(count * 0.55)
    assert not mask[0]
    if count == 124:
        starts = int((np.diff(mask.astype(int)) == 1).sum())
        assert mask.sum() / starts > 2.5


def test_kept_positions_are_what_is_not_hidden(chance: np.random.Generator) -> None:
    masks = [mask_patches(6, 0.5, chance), mask_patches(4, 0.5, chance)]
    hidden, kept = stack_masks(masks, 8)
    assert hidden.shape == (2, 8)
    assert not hidden[1, 5:].any()
    for row in range(2):
        positions = set(kept[row][kept[row] >= 0].tolist())
        assert positions == set(range(len(masks[row]))) - set(np.flatnonzero(masks[row]).tolist())
    assert kept[1, -1] == -1

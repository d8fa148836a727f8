from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from searchkit.media.passages import passages

WORDS = st.lists(st.text("abcdefgh.!é漢。", min_size=1, max_size=30), min_size=1, max_size=60)
JOINTS = st.sampled_from([" ", "\n", "\n\n", "  ", "\t", "\n \n"])


@given(WORDS, JOINTS, st.integers(12, 120), st.data())
def test_passages_fit_and_cover_the_text_in_order(
    words: list[str], joint: str, chars: int, data: st.DataObject
) -> None:
    overlap_chars = data.draw(st.integers(0, chars // 2))
    text = joint.join(words)
    found = list(passages(text, chars, overlap_chars))
    assert all(0 < len(passage) <= chars for passage in found)
    letters = "".join(text.split())
    reached = 0
    for passage in found:
        body = "".join(passage.split())
        # Each passage continues where the text was left, or a little before.
        start = max(
            at for at in range(max(0, reached - overlap_chars), reached + 1) if letters.startswith(body, at)
        )
        assert start + len(body) > reached
        reached = start + len(body)
    assert reached == len(letters)


def test_short_paragraphs_share_a_passage_and_stay_whole() -> None:
    text = "A dog barks.\n\nA cat meows.\n\n" + "It rains. " * 5
    assert list(passages(text, 40)) == [
        "A dog barks.\n\nA cat meows.",
        "It rains. It rains. It rains. It rains.",
        "It rains.",
    ]


def test_neighbours_of_a_long_paragraph_share_words() -> None:
    text = " ".join(f"word{n}" for n in range(100))
    found = list(passages(text, 100, 30))
    assert len(found) > 5
    for before, after in itertools.pairwise(found):
        shared = after[: after.index(before.split()[-1])] + before.split()[-1]
        assert before.endswith(shared)
        assert 20 <= len(shared) <= 30


def test_a_new_paragraph_starts_without_words_of_the_one_before() -> None:
    found = list(passages("one two three.\n\nfour five six.", 20, 10))
    assert found == ["one two three.", "four five six."]

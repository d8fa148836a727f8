import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.query.diverse import maximal_marginal_relevance


def three_near_copies_and_another():
    vectors = np.array([[1, 0], [0.999, 0.0447], [0.998, 0.0632], [0.6, 0.8]], dtype=np.float32)
    return np.array([0.9, 0.89, 0.88, 0.6]), vectors


def test_a_different_result_comes_before_near_copies():
    scores, vectors = three_near_copies_and_another()
    assert maximal_marginal_relevance(scores, vectors, 2, relevance=0.5) == [0, 3]


def test_each_pick_is_compared_with_all_before_it():
    """After a near copy of the second pick comes a third direction, not a near copy of the first."""
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.141, 0], [0, 0, 1]], dtype=np.float32)
    scores = np.array([1.0, 0.9, 0.9, 0.5])
    assert maximal_marginal_relevance(scores, vectors, 3, relevance=0.4) == [0, 1, 3]


def test_relevance_alone_keeps_the_order():
    scores, vectors = three_near_copies_and_another()
    assert maximal_marginal_relevance(scores, vectors, 4, relevance=1) == [0, 1, 2, 3]


@given(st.integers(0, 12), st.integers(0, 15), st.floats(0, 1), st.integers(0, 2**31))
def test_picks_each_candidate_once_and_the_best_first(count, k, relevance, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, 5)).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    scores = rng.random(count)
    picked = maximal_marginal_relevance(scores, vectors, k, relevance=relevance)
    assert len(picked) == len(set(picked)) == min(k, count)
    if picked:
        assert picked[0] == scores.argmax()


@given(st.floats(0.01, 100), st.floats(-5, 5))
def test_the_scale_of_scores_does_not_matter(factor, shift):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((8, 4)).astype(np.float32)
    scores = np.round(rng.random(8), 3)
    assert maximal_marginal_relevance(scores * factor + shift, vectors, 5) == (
        maximal_marginal_relevance(scores, vectors, 5)
    )


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="scores"):
        maximal_marginal_relevance(np.zeros(3), np.zeros((2, 4), dtype=np.float32), 1)
    with pytest.raises(ValueError, match="relevance"):
        maximal_marginal_relevance(np.zeros(1), np.zeros((1, 4), dtype=np.float32), 1, relevance=2)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from searchkit.query.gap import Moments, centre, csls, inverted_softmax, mean_of_top, whitening

DIM = 6
row_sets = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 12), st.just(DIM)), elements=st.floats(-1, 1, width=32)
)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def cone(rng, count, axis, spread=0.3):
    """Unit rows around an axis, as the rows of one modality lie."""
    return unit(axis + spread * rng.standard_normal((count, len(axis))))


@given(row_sets, row_sets, row_sets)
def test_moments_of_parts_merge_to_those_of_the_whole(a, b, c):
    whole = Moments.of(np.concatenate([a, b, c]))
    for merged in (
        Moments.of(a).merge(Moments.of(b)).merge(Moments.of(c)),
        Moments.of(a).merge(Moments.of(c).merge(Moments.of(b))),
    ):
        assert merged.count == whole.count
        np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-6)
        np.testing.assert_allclose(merged.covariance, whole.covariance, atol=1e-6)
    if whole.count:
        rows = np.concatenate([a, b, c]).astype(np.float64)
        np.testing.assert_allclose(whole.covariance, np.cov(rows.T, bias=True).reshape(DIM, DIM), atol=1e-9)


def test_merging_keeps_its_precision_far_from_zero():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1000, 3)) + 1e6
    merged = Moments.of(rows[:1])
    for row in rows[1:]:
        merged = merged.merge(Moments.of(row[None]))
    np.testing.assert_allclose(merged.covariance, np.cov(rows.T, bias=True), rtol=1e-6, atol=1e-6)


def test_centring_closes_the_gap_between_two_cones():
    """Pairs that share a direction but lie in two cones: sums and scores see the cones until centred."""
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((40, 32))
    sounds, images = (
        unit(shared + 12 * rng.standard_normal(32) + 0.5 * rng.standard_normal((40, 32))) for _ in range(2)
    )
    centred = [centre(rows, rows.mean(axis=0)) for rows in (sounds, images)]
    gap = np.linalg.norm(sounds.mean(axis=0) - images.mean(axis=0))
    assert np.linalg.norm(centred[0].mean(axis=0) - centred[1].mean(axis=0)) < gap / 4
    found = [(a @ b.T).argmax(axis=1) == np.arange(40) for a, b in ((sounds, images), centred)]
    assert found[1].sum() > found[0].sum()
    np.testing.assert_allclose(np.linalg.norm(centred[0], axis=1), 1, atol=1e-6)


def test_a_row_that_equals_the_mean_becomes_zero_not_noise():
    rows = unit(np.ones((3, 4)))
    np.testing.assert_array_equal(centre(rows, rows.mean(axis=0)), 0)


def test_whitening_decorrelates_and_keeps_directions_where_it_can():
    rng = np.random.default_rng(2)
    rows = (rng.standard_normal((5000, DIM)) * [5, 2, 1, 1, 0.5, 0.1]).astype(np.float32)
    moments = Moments.of(rows)
    plain = whitening(moments, shrinkage=1e-6)
    moved = (rows - plain.mean) @ plain.matrix
    covariance = np.cov(moved.T, bias=True)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.eye(DIM), atol=0.05)
    np.testing.assert_allclose(plain.matrix, plain.matrix.T, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(plain.apply(rows), axis=1), 1, atol=1e-6)


def test_full_shrinkage_only_centres():
    rng = np.random.default_rng(3)
    rows = cone(rng, 200, np.ones(DIM))
    moments = Moments.of(rows)
    np.testing.assert_allclose(
        whitening(moments, shrinkage=1).apply(rows), centre(rows, moments.mean), atol=1e-5
    )
    with pytest.raises(ValueError, match="shrinkage"):
        whitening(moments, shrinkage=0)


def test_whitening_of_few_rows_is_finite():
    rows = unit(np.random.default_rng(4).standard_normal((3, 20)))
    assert np.isfinite(whitening(Moments.of(rows)).apply(rows)).all()
    assert np.isfinite(whitening(Moments.of(rows[:0])).apply(rows)).all()


@pytest.mark.parametrize("correct", [csls, inverted_softmax])
def test_a_hub_that_is_near_to_every_query_no_longer_wins(correct):
    rng = np.random.default_rng(5)
    axis = np.eye(32)[0]
    queries = cone(rng, 120, axis, spread=0.2)
    rows = unit(np.concatenate([queries + 0.18 * rng.standard_normal(queries.shape), [axis]]))
    scores = queries @ rows.T
    corrected = correct(scores[:40], scores[40:])
    assert corrected.shape == (40, 121)
    raw, best = scores[:40].argmax(axis=1), corrected.argmax(axis=1)
    assert (raw == 120).sum() >= 5, "without a hub there is nothing to correct"
    assert (best == 120).sum() < (raw == 120).sum() / 2
    assert (best == np.arange(40)).sum() > (raw == np.arange(40)).sum()


def test_csls_is_its_formula():
    scores = np.array([[0.9, 0.1, 0.5]])
    bank = np.array([[0.8, 0.2, 0.0], [0.4, 0.0, 0.2]])
    expected = 2 * scores - 0.7 - np.array([[0.6, 0.1, 0.1]])
    np.testing.assert_allclose(csls(scores, bank, k=2), expected)
    np.testing.assert_allclose(mean_of_top(scores, 10), [0.5])


def test_inverted_softmax_is_its_formula_and_does_not_overflow():
    scores, bank = np.array([[0.9, 0.1]]), np.array([[0.8, 0.2], [0.4, 0.0]])
    expected = scores / 0.05 - np.log(np.exp(bank / 0.05).sum(axis=0))
    np.testing.assert_allclose(inverted_softmax(scores, bank), expected)
    assert np.isfinite(inverted_softmax(scores, bank, temperature=1e-5)).all()


@pytest.mark.parametrize("bank", [np.zeros((3, 4)), np.zeros((0, 2)), np.zeros(2)])
def test_refuses_a_bank_over_other_rows(bank):
    for correct in (csls, inverted_softmax):
        with pytest.raises(ValueError, match=r"bank|share"):
            correct(np.zeros((1, 2)), bank)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from searchkit.query.calibrate import MIN_ROWS, Background, background_ids, good_matches
from searchkit.types import Hit

LIKELY = 0.5

score_arrays = hnp.arrays(np.float64, st.integers(MIN_ROWS, 80), elements=st.floats(-1, 1, width=32))


def unrelated(rng, count):
    """Cosines of rows that have nothing to do with a query, as they fall in 64 dimensions."""
    return rng.standard_normal(count) / 8


@given(score_arrays, st.integers(1, 10**6), st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=6))
def test_higher_scores_are_never_less_likely_to_match(scores, size, asked):
    background = Background.of(scores, size)
    asked.sort()
    for read in (background.probability, background.z, background.surprise):
        values = [read(score) for score in asked]
        assert np.diff(values).min() >= -1e-12  # but for rounding
        assert np.isfinite(values).all()
    assert all(0 <= background.probability(score) <= 1 for score in asked)
    assert background.probability(background.location) == 0


@given(score_arrays, st.floats(0.01, 100), st.floats(-10, 10), st.floats(-1.5, 1.5))
def test_the_scale_of_raw_scores_does_not_matter(scores, factor, shift, asked):
    rounded, point = np.round(scores, 2), round(asked, 2)
    plain = Background.of(rounded, 100)
    if plain.spread < 1e-3 or plain.tail_scale < 1e-3 or (np.abs(rounded - point) < 1e-6).any():
        return
    moved = Background.of(rounded * factor + shift, 100)
    assert moved.probability(point * factor + shift) == pytest.approx(plain.probability(point), abs=1e-5)
    assert moved.z(point * factor + shift) == pytest.approx(plain.z(point), rel=1e-5, abs=1e-5)


def test_a_clear_match_is_found_at_every_size_of_library():
    rng = np.random.default_rng(1)
    for size in (30, 300, 3000, 100_000):
        scores = unrelated(rng, size)
        sample = scores[rng.permutation(size)[:1000]]
        background = Background.of(np.append(sample, 1.5)[-1000:], size + 1)
        assert background.probability(1.5) > 0.9
        assert background.z(1.5) > 8


def test_the_best_of_many_unrelated_rows_is_no_match():
    """The more rows, the higher the best of them by chance alone, which the size must answer for."""
    rng = np.random.default_rng(2)
    alarms = dict.fromkeys((30, 300, 3000), 0)
    for size in alarms:
        for _ in range(100):
            scores = unrelated(rng, size)
            background = Background.of(scores[:1000], size)
            alarms[size] += background.probability(float(scores.max())) >= LIKELY
    assert alarms[30] <= 35
    assert alarms[300] <= 10
    assert alarms[3000] <= 5


def test_one_raw_score_means_more_in_a_small_library_than_in_a_large_one():
    scores = unrelated(np.random.default_rng(3), 1000)
    small, large = Background.of(scores, 1000), Background.of(scores, 10**7)
    assert small.probability(0.9) > large.probability(0.9)
    assert small.expected(0.9) * 10**4 == pytest.approx(large.expected(0.9))
    assert small.z(0.9) == large.z(0.9)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_library_full_of_matches_still_has_matches(share):
    rng = np.random.default_rng(4)
    matching = rng.random(1000) < share
    scores = np.where(matching, unrelated(rng, 1000) + 0.75, unrelated(rng, 1000))
    background = Background.of(scores, 1000)
    accepted = np.array([background.probability(score) >= LIKELY for score in scores])
    assert accepted[matching].mean() > 0.9
    assert accepted[~matching].mean() < 0.05


def test_good_matches_keeps_order_and_may_be_empty():
    scores = unrelated(np.random.default_rng(5), 200)
    background = Background.of(scores, 200)
    hits = [Hit(7, 1.4), Hit(3, 1.3), Hit(9, 0.2), Hit(1, 0.1)]
    assert good_matches(hits, background, cutoff=LIKELY) == hits[:2]
    assert good_matches(hits[2:], background, cutoff=LIKELY) == []
    assert good_matches(hits, background, cutoff=0) == hits


def test_too_few_rows_judge_nothing():
    assert Background.of(np.linspace(0, 1, MIN_ROWS - 1), 1000) is None
    assert good_matches([Hit(1, 0.0)], None) == [Hit(1, 0.0)]


def test_a_background_without_any_spread_is_no_crash():
    background = Background.of(np.full(50, 0.25), 50)
    assert background.probability(0.25) == 0
    assert background.probability(0.26) == 1


@pytest.mark.parametrize(
    ("scores", "size"), [(np.zeros((5, 5)), 5), (np.full(30, np.nan), 5), (np.zeros(30), 0)]
)
def test_refuses_what_is_no_background(scores, size):
    with pytest.raises(ValueError, match="finite scores"):
        Background.of(scores, size)


@given(st.sets(st.integers(0, 2**62), max_size=60), st.integers(1, 30))
def test_the_sample_is_fixed_and_hardly_changes_when_rows_come_and_go(ids, limit):
    rows = np.array(sorted(ids), dtype=np.int64)
    sample = background_ids(rows, limit)
    assert len(sample) == min(limit, len(rows))
    assert set(sample.tolist()) <= ids
    assert sample.tolist() == sorted(sample.tolist())
    assert background_ids(rows[::-1], limit).tolist() == sample.tolist()
    if len(rows):
        fewer = background_ids(rows[1:], limit)
        assert len(set(sample.tolist()) - set(fewer.tolist())) <= 1


def test_the_sample_is_spread_over_all_ids():
    sample = background_ids(np.arange(100_000, dtype=np.int64), 1000)
    counts = np.histogram(sample, bins=10, range=(0, 100_000))[0]
    assert counts.min() > 60
    assert counts.max() < 140

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.query.measures import (
    average_precision,
    divided_recall,
    evaluate,
    first_rank,
    hit_rate,
    ndcg,
    reciprocal_rank,
)

RANKED = ["a", "b", "c", "d", "e"]


def test_measures_of_one_list_by_hand():
    relevant = {"b", "d", "z"}
    assert first_rank(RANKED, relevant) == 2
    assert reciprocal_rank(RANKED, relevant) == 0.5
    assert [hit_rate(RANKED, relevant, k) for k in (1, 2, 5)] == [0, 1, 1]
    assert [divided_recall(RANKED, relevant, k) for k in (1, 2, 5)] == [0, 1 / 3, 2 / 3]
    assert average_precision(RANKED, relevant) == pytest.approx((1 / 2 + 2 / 4 + 0) / 3)
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(RANKED, relevant, 5) == pytest.approx(gain / ideal)


def test_nothing_relevant_found_is_the_worst_value():
    assert first_rank(RANKED, {"z"}) == math.inf
    assert reciprocal_rank(RANKED, {"z"}) == 0
    assert hit_rate([], {"z"}, 5) == divided_recall([], {"z"}, 5) == ndcg([], {"z"}, 5) == 0


def test_hit_rate_and_divided_recall_part_with_five_captions_an_image():
    report = evaluate([[1, 9, 8]], [{1, 2, 3, 4, 5}], ks=(1,))
    assert report.hit_rate[1] == 1.0
    assert report.divided_recall[1] == 0.2


def test_means_over_queries_and_what_is_left_out():
    report = evaluate([[1, 2], [2, 1], [3, 4], [5]], [{1}, {1}, {9}, set()], ks=(1, 2))
    assert report.queries == 3
    assert report.without_relevant == 1
    assert report.hit_rate == {1: pytest.approx(1 / 3), 2: pytest.approx(2 / 3)}
    assert report.median_rank == 2
    assert report.mrr == pytest.approx((1 + 0.5 + 0) / 3)


def test_the_report_is_flat_json():
    report = evaluate([[1]], [{2}], ks=(1,))
    flat = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert flat["hit_rate@1"] == 0
    assert flat["median_rank"] is None


lists = st.lists(st.integers(0, 15), unique=True, max_size=10)


@given(lists, st.sets(st.integers(0, 15), min_size=1, max_size=6), st.integers(1, 12))
def test_every_measure_is_a_share_and_a_perfect_list_gets_all(ranked, relevant, k):
    for measure in (hit_rate, divided_recall, ndcg):
        assert 0 <= measure(ranked, relevant, k) <= 1
        assert measure(ranked, relevant, k) <= measure(sorted(relevant), relevant, len(relevant))
    assert divided_recall(ranked, relevant, k) <= hit_rate(ranked, relevant, k)
    assert ndcg(sorted(relevant), relevant, k) == pytest.approx(1)
    assert average_precision(sorted(relevant), relevant) == pytest.approx(1)
    assert average_precision(ranked, relevant) <= 1


@given(lists.filter(lambda ranked: len(ranked) > 1), st.data())
def test_moving_a_relevant_id_up_never_hurts(ranked, data):
    relevant = set(data.draw(st.lists(st.sampled_from(ranked), min_size=1)))
    at = data.draw(st.sampled_from([i for i, id in enumerate(ranked) if id in relevant]))
    better = ranked.copy()
    better.insert(max(at - 1, 0), better.pop(at))
    if ranked[max(at - 1, 0)] in relevant:
        better = ranked
    for k in (1, 3, 10):
        assert ndcg(better, relevant, k) >= ndcg(ranked, relevant, k) - 1e-12
        assert divided_recall(better, relevant, k) >= divided_recall(ranked, relevant, k)
    assert average_precision(better, relevant) >= average_precision(ranked, relevant) - 1e-12


@pytest.mark.parametrize(
    ("rankings", "relevant", "ks", "message"),
    [
        ([[1]], [], (1,), "1 ranked lists but relevant ids for 0"),
        ([[1, 1]], [{1}], (1,), "repeats"),
        ([[1]], [{1}], (0,), ">= 1"),
        ([[1]], [set()], (1,), "nothing to measure"),
    ],
)
def test_refuses_what_cannot_be_measured(rankings, relevant, ks, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rankings, relevant, ks)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.query import Located, best_per_asset, fuse_scores, merge_neighbours, reciprocal_rank_fusion
from searchkit.types import Hit, Modality, Span


def ranked(*ids, top=1.0):
    return [Hit(id, top - 0.01 * rank) for rank, id in enumerate(ids)]


def test_reciprocal_rank_fusion_matches_its_formula():
    fused = reciprocal_rank_fusion({"words": ranked(1, 2, 3), "vectors": ranked(3, 1)})
    assert [hit.id for hit in fused] == [1, 3, 2]
    assert fused[0].score == pytest.approx(1 / 61 + 1 / 62)
    assert fused[0].ranks == {"words": 1, "vectors": 2}
    assert fused[1].scores == {"words": pytest.approx(0.98), "vectors": pytest.approx(1.0)}


def test_modalities_interleave_rank_by_rank_whatever_their_scale():
    fused = reciprocal_rank_fusion({"text": ranked(1, 2, top=0.9), "image": ranked(10, 11, 12, top=0.2)})
    assert [hit.id for hit in fused] == [1, 10, 2, 11, 12]


def test_weights_and_constant_shift_the_balance():
    rankings = {"a": ranked(1, 2), "b": ranked(3, 4)}
    assert [h.id for h in reciprocal_rank_fusion(rankings, weights={"b": 2})] == [3, 4, 1, 2]
    assert [h.id for h in reciprocal_rank_fusion(rankings, rank_constant=0.1, weights={"b": 1.5})] == [
        3,
        1,
        4,
        2,
    ]


def test_calibrated_scores_rank_across_modalities():
    rankings = {"text": [Hit(1, 0.9), Hit(2, 0.7)], "image": [Hit(3, 0.3), Hit(4, 0.1)]}
    calibrate = {"text": lambda score: (score - 0.8) / 0.1, "image": lambda score: (score - 0.1) / 0.05}
    fused = fuse_scores(rankings, calibrate)
    assert [hit.id for hit in fused] == [3, 1, 4, 2]
    assert fused[0].scores == {"image": 0.3}
    assert [hit.id for hit in fuse_scores(rankings)] == [1, 2, 3, 4]


def test_a_list_that_repeats_an_id_is_a_mistake():
    with pytest.raises(ValueError, match="twice"):
        reciprocal_rank_fusion({"a": ranked(1, 1)})
    with pytest.raises(ValueError, match="rank_constant"):
        reciprocal_rank_fusion({}, rank_constant=0)


@given(
    st.dictionaries(st.text(max_size=3), st.lists(st.integers(0, 50), unique=True, max_size=10), max_size=4)
)
def test_fusion_keeps_every_id_once_and_respects_agreement(lists):
    rankings = {name: ranked(*ids) for name, ids in lists.items()}
    fused = [hit.id for hit in reciprocal_rank_fusion(rankings)]
    assert sorted(fused) == sorted({id for ids in lists.values() for id in ids})
    if len(rankings) == 1:
        assert fused == next(iter(lists.values()))


def place(id, asset, span=None, modality=Modality.AUDIO):
    return Located(id, asset, modality, 1.0 - 0.01 * id, Span(*span) if span else None)


def test_best_per_asset_keeps_the_first_of_each():
    hits = [place(1, 7, (0, 1)), place(2, 8), place(3, 7, (5, 6)), place(4, 9)]
    assert [hit.id for hit in best_per_asset(hits)] == [1, 2, 4]


def test_neighbours_merge_into_the_best_of_them():
    hits = [
        place(1, 7, (10, 20)),
        place(2, 8, (0, 10)),
        place(3, 7, (15, 25)),
        place(4, 7, (40, 50)),
        place(5, 7, (0, 10)),
        place(6, 7, (20, 30), Modality.IMAGE),
        place(7, 9),
    ]
    merged = merge_neighbours(hits)
    assert [(hit.id, hit.span) for hit in merged] == [
        (1, Span(0, 25)),
        (2, Span(0, 10)),
        (4, Span(40, 50)),
        (6, Span(20, 30)),
        (7, None),
    ]
    assert merged[0].score == hits[0].score
    assert merge_neighbours(hits, gap_s=15)[0].span == Span(0, 50)
    assert merge_neighbours([]) == []
    with pytest.raises(ValueError, match="gap_s"):
        merge_neighbours(hits, gap_s=-1)


spans = st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda t: (t[0], t[0] + t[1]))


@given(st.lists(st.tuples(st.integers(0, 2), spans), max_size=12), st.integers(0, 3))
def test_merged_spans_cover_the_same_seconds_and_lie_apart(rows, gap_s):
    hits = [place(rank, asset, span) for rank, (asset, span) in enumerate(rows)]
    merged = merge_neighbours(hits, gap_s=gap_s)

    def seconds(of):
        return {(h.asset_id, s) for h in of for s in range(int(h.span.start_s), int(h.span.end_s))}

    assert seconds(hits) <= seconds(merged)
    if gap_s == 0:
        assert seconds(hits) == seconds(merged)
    assert merge_neighbours(merged, gap_s=gap_s) == merged
    assert [hit.score for hit in merged] == sorted((hit.score for hit in merged), reverse=True)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import QueryError
from searchkit.query import parse, text
from searchkit.query.rocchio import feedback

from .strategies import small_queries


def test_feedback_is_a_query_like_any_other():
    query = feedback(text("dog"), like=[3, 5], unlike=[8])
    assert query == parse('text:"dog" + 0.375*id:3 + 0.375*id:5 - 0.15*id:8')


def test_judgements_alone_are_enough():
    assert feedback(like=[3]) == parse("0.75*id:3")
    assert feedback(unlike=[3, 4], away=1) == parse("-0.5*id:3 - 0.5*id:4")


def test_a_heavy_query_does_not_drown_the_judgements():
    assert feedback(4 * text("dog") - 4 * text("cat"), like=[3]) == parse("0.5*dog - 0.5*cat + 0.75*id:3")


@given(small_queries, st.lists(st.integers(0, 9)), st.lists(st.integers(10, 19)))
def test_weights_sum_to_what_was_asked(query, like, unlike):
    terms = feedback(query, like, unlike).terms[len(query.terms) :]
    assert [term.operand.id for term in terms] == list(dict.fromkeys(like)) + list(dict.fromkeys(unlike))
    assert sum(t.weight for t in terms if t.weight > 0) == pytest.approx(0.75 if like else 0)
    assert sum(t.weight for t in terms if t.weight < 0) == pytest.approx(-0.15 if unlike else 0)


def test_refuses_nothing_and_contradictions():
    with pytest.raises(QueryError, match="nothing to learn from"):
        feedback()
    with pytest.raises(QueryError, match="segment 3 is judged both ways"):
        feedback(text("dog"), like=[3], unlike=[3])

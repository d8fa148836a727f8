import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import searchkit.query as sq
from searchkit.errors import QueryError
from searchkit.query import Query, Segment, Term, Text, audio, image, parse, segment, text, video

from .strategies import queries, small_queries


@given(queries)
def test_its_own_source_text_gives_the_query_back(query):
    assert parse(str(query)) == query
    assert eval(repr(query)) == query
    assert str(query).isprintable(), "it must ride in a URL, a log line and a terminal"


@given(queries)
def test_pickles_and_hashes_by_structure(query):
    twin = pickle.loads(pickle.dumps(query))
    assert twin == query
    assert hash(twin) == hash(query)
    assert {query: 1}[twin] == 1


@given(small_queries, small_queries, small_queries)
def test_laws_of_sums(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a - b == a + -b
    assert -(a + b) == -a - b
    assert 2 * (a + b) == 2 * a + 2 * b
    assert 2 * a == a * 2
    assert (a * 4) / 4 == a
    assert sum([a, b, c]) == a + b + c


@given(small_queries)
def test_brackets_in_source_text_mean_what_they_mean_in_python(query):
    assert parse(f"0.5*({query})") == 0.5 * query
    assert parse(f"({query}) / 4") == query / 4
    assert parse(f"{query} - ({query})") == query - query


def test_reads_like_the_sum_that_it_is():
    query = audio("bark.wav") + 0.5 * text("in the snow") - image("cat.jpg")
    assert str(query) == 'audio:bark.wav + 0.5*text:"in the snow" - image:cat.jpg'
    assert repr(query) == "Query('audio:bark.wav + 0.5*text:\"in the snow\" - image:cat.jpg')"
    assert str(-segment(7) / 4) == "-0.25*id:7"
    assert (
        str(video("clip.mp4", 3.5, 7) + video("a b.mp4", 60)) == 'video:clip.mp4@3.5-7 + video:"a b.mp4"@60-'
    )


def test_terms_keep_their_order_and_are_not_merged():
    dog, cat = text("dog"), text("cat")
    assert len((dog + dog).terms) == 2
    assert dog + cat != cat + dog
    assert (dog - dog).terms == (Term(1, Text("dog")), Term(-1, Text("dog")))


def test_is_immutable():
    query = text("dog")
    with pytest.raises(AttributeError):
        query.terms = ()
    with pytest.raises(AttributeError):
        query.terms[0].weight = 2


def test_takes_path_objects_bytes_and_numpy_numbers():
    assert image(Path("a/b.jpg")) == image("a/b.jpg") == image(b"a/b.jpg")
    assert np.float32(0.5) * text("dog") == text("dog") * np.float64(0.5) == 0.5 * text("dog")
    assert segment(np.int64(5)) == segment(5)


def test_kinds_lists_what_takes_part():
    assert (audio("a") + text("b") - audio("c")).kinds == ("text", "audio")


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 10**400])
def test_refuses_weights_that_are_not_finite(weight):
    with pytest.raises(QueryError, match="finite"):
        weight * text("dog")


def test_refuses_a_product_that_overflows():
    with pytest.raises(QueryError, match="finite"):
        1e308 * (1e308 * text("dog"))


def test_refuses_division_by_zero():
    with pytest.raises(QueryError, match="zero"):
        text("dog") / 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: text(""),
        lambda: text(" \n"),
        lambda: image(""),
        lambda: audio("a\0b"),
        lambda: video("a", 7, 3),
        lambda: video("a", -1),
        lambda: audio("a", math.nan),
        lambda: segment(-1),
        lambda: segment(2**63),
        lambda: Query(()),
        lambda: Query(""),
    ],
)
def test_refuses_terms_that_mean_nothing(make):
    with pytest.raises(QueryError):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: text("a") + "b",
        lambda: text("a") - 1,
        lambda: text("a") * text("b"),
        lambda: "2" * text("a"),
        lambda: text("a") / text("b"),
        lambda: text(5),
        lambda: Segment(True),
        lambda: segment("5"),
    ],
)
def test_mistakes_of_the_programmer_are_type_errors(make):
    with pytest.raises(TypeError):
        make()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_equal_weights_print_alike(weight):
    assert str(weight * text("a")) == str((weight + 0.0) * text("a"))


def test_every_public_name_is_there():
    for name in sq.__all__:
        assert getattr(sq, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'embed_everything'"):
        _ = sq.embed_everything


def test_reading_a_query_imports_no_numpy():
    code = (
        "import sys; from searchkit.query import from_flags, parse; "
        "parse('a + 2*image:b'); from_flags(['a']); print('numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"

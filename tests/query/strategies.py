"""Hypothesis strategies for queries; every value that the algebra accepts can come out."""

from hypothesis import strategies as st

from searchkit.query import Audio, Image, Query, Segment, Term, Text, Video

weights = st.floats(allow_nan=False, allow_infinity=False)
# Any characters, lone surrogates (file names that are no UTF-8) and control characters included.
anything = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12)
paths = st.one_of(
    anything.filter(lambda path: "\0" not in path),
    st.text("ab.@-+*/()'\"\\ :0123456789^\n", min_size=1, max_size=12),
    st.sampled_from(
        ["image:x", "clip.mp4@3.5-7", "a -text:b", "0.5*a", "-", "+", "'", '"', "C:\\new\\u0041"]
    ),
)
words = st.one_of(
    anything,
    st.text("ab.@-+*/()'\"\\ :0123456789^\n", min_size=1, max_size=12),
    st.sampled_from(["t-shirt", "dog - cat", "text:x", "2*3", ") + ("]),
).filter(lambda text: bool(text.strip()))
times_s = st.floats(0, 1e6)


@st.composite
def timed(draw, kind):
    start_s = draw(st.one_of(st.just(0.0), times_s))
    end_s = draw(st.one_of(st.none(), st.floats(start_s, 2e6, exclude_min=True)))
    return kind(draw(paths), start_s, end_s)


operands = st.one_of(
    words.map(Text),
    paths.map(Image),
    timed(Audio),
    timed(Video),
    st.integers(0, 2**63 - 1).map(Segment),
)
terms = st.builds(Term, weights, operands)
queries = st.lists(terms, min_size=1, max_size=5).map(Query)
# Small weights and operands, for laws in which products must not overflow.
small_queries = st.lists(
    st.builds(Term, st.integers(-8, 8).map(float), operands), min_size=1, max_size=4
).map(Query)

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import QueryError, QuerySyntaxError
from searchkit.query import audio, image, parse, segment, text, video


@pytest.mark.parametrize(
    "words",
    [
        "dog in snow",
        "t-shirt",
        "x-ray of a C++ book",
        "water at -5 degrees",
        "-5 degrees",
        "12:30 at night",
        "Star Wars: A New Hope",
        "dog (puppy)",
        "'tis the season",
        'sign that says "stop"',
        '"stop" sign',
        "Google+ logo",
        "rock-'n'-roll",
        "5* hotel",
        "4 * 4 car",
        "50/50",
        "größer 猫 🐕",
        "dog -- cat",
        "e=mc^2",
        r"back\slash",
        "a.b, c; d! e? @home #1 50% [x] {y}",
    ],
)
def test_bare_words_are_one_text(words):
    assert parse(words) == text(words)


@given(
    st.lists(st.text(string.ascii_letters + string.digits + "'.,!?é猫", min_size=1), min_size=1).map(" ".join)
)
def test_words_without_operators_are_one_text(words):
    if not words.startswith("'"):
        assert parse(words) == text(words)


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ('audio:bark.wav + 0.5*text:"in the snow" - image:cat.jpg',
         audio("bark.wav") + 0.5 * text("in the snow") - image("cat.jpg")),
        ("dog + cat", text("dog") + text("cat")),
        ("big dog - small cat", text("big dog") - text("small cat")),
        ("dog - t-shirt", text("dog") - text("t-shirt")),
        ('audio:bark.wav+0.5*"snow"', audio("bark.wav") + 0.5 * text("snow")),
        ("dog -text:cat", text("dog") - text("cat")),
        ("dog+image:cat.jpg", text("dog") + image("cat.jpg")),
        ('"dog"-"cat"', text("dog") - text("cat")),
        ("image:my-cat.jpg", image("my-cat.jpg")),
        ("image:a+b.jpg + x", image("a+b.jpg") + text("x")),
        ("-cat", -text("cat")),
        ("- cat", -text("cat")),
        ("-0.5*cat", -0.5 * text("cat")),
        ("2*-text:a", -2 * text("a")),
        ("dog - -0.5*cat", text("dog") + 0.5 * text("cat")),
        ("0.5*(dog + image:a.jpg) - 2*cat", 0.5 * text("dog") + 0.5 * image("a.jpg") - 2 * text("cat")),
        ("-(dog - (cat + -mouse))", -text("dog") + text("cat") - text("mouse")),
        ("2*3*id:1", 6 * segment(1)),
        (".5*id:1 + 1e-3*id:2 + 2.*id:3", 0.5 * segment(1) + 0.001 * segment(2) + 2 * segment(3)),
        ("id:12 * 0.5", 0.5 * segment(12)),
        ('"dog" / 4 + (id:1)*2', 0.25 * text("dog") + 2 * segment(1)),
        ("video:clip.mp4@3.5-7", video("clip.mp4", 3.5, 7)),
        ("video:clip.mp4@1:30-1:02:03.5", video("clip.mp4", 90, 3723.5)),
        ("audio:'long talk.ogg'@60- + x", audio("long talk.ogg", 60) + text("x")),
        ("video:mail@home.mp4", video("mail@home.mp4")),
        ('video:"clip.mp4@3-7"', video("clip.mp4@3-7")),
        ("image:photo@2-3.jpg", image("photo@2-3.jpg")),
        ("image:C:\\new\\cat.jpg", image("C:\\new\\cat.jpg")),
        ("image:'C:\\new\\my cat.jpg'", image("C:\\new\\my cat.jpg")),
        ('image:"a\\"b\\\\c\\n\\u00e9\\U0001F415\\udcff"', image('a"b\\c\né🐕\udcff')),
        ("image:foo(1).jpg", image("foo(1).jpg")),
        ("(image:foo.jpg + dog)", image("foo.jpg") + text("dog")),
        ("Image: cat.jpg", image("cat.jpg")),
        ("text:in the snow + text: and ice", text("in the snow") + text("and ice")),
        ("  dog \t in\nsnow ", text("dog in snow")),
    ],
)  # fmt: skip
def test_means(source, query):
    assert parse(source) == query


@pytest.mark.parametrize(
    ("source", "column", "message", "hint"),
    [
        ("", 1, "empty", "type words"),
        ("   ", 4, "empty", "type words"),
        ("dog +", 6, "missing", "text:"),
        ("dog + + ", 9, "missing", "text:"),
        ("dog -cat", 5, "is this -", "- cat"),
        ("dog image:x.jpg", 5, "missing before image:", "put + or -"),
        ("image:my cat.jpg", 10, "missing before this", 'image:"my cat.jpg"'),
        ("dog + adio:bark.wav", 7, "'adio'", "audio:"),
        ("photo:x.jpg", 1, "'photo'", "image:"),
        ("old movie:x.mp4", 5, "'movie'", "video:"),
        ("http://example.org", 1, "'http'", "double quotes"),
        ("0,5*text:x", 5, "missing before text:", "0.5*"),
        ("0.5*", 5, "after the *", "0.5*text:"),
        ("(dog + cat", 1, "never closed", ")"),
        ("dog + cat)", 10, "closes nothing", "double quotes"),
        ("()", 2, "missing", "text:"),
        ('text:"dog', 6, "never closed", '"'),
        ('dog + "cat', 7, "never closed", '"'),
        ("image:'cat.jpg", 7, "never closed", "'"),
        ('image:"C:\\photos"', 10, "escape", "single quotes"),
        ('text:"\\U99999999"', 7, "escape", "single quotes"),
        ("id:abc", 4, "whole number", "id:123"),
        ("id:-1", 4, "whole number", "id:123"),
        ("id:9223372036854775808", 4, "no segment", "--json"),
        ("image:", 7, "file name is missing", "image:FILE"),
        ("dog + text:", 7, "words are missing", "text:"),
        ('text:" "', 6, "no words", "text:"),
        ("video:a.mp4@7-3", 7, "0 <= start < end", "@3.5-7"),
        ("text:a - 1e999*text:b", 10, "too large", ""),
        ('"dog" / 0', 9, "zero", ""),
    ],
)
def test_errors_point_at_the_column_and_say_what_to_type(source, column, message, hint):
    with pytest.raises(QuerySyntaxError) as caught:
        parse(source)
    assert caught.value.column == column
    assert message in str(caught.value)
    assert hint in caught.value.hint
    caret = str(caught.value).splitlines()[2]
    assert caret.index("^") == column + 1


def outcome(source):
    """The query, or the error that refused it; anything else escapes."""
    try:
        return parse(source)
    except QueryError as error:
        return error


def check(source):
    found = outcome(source)
    if isinstance(found, QuerySyntaxError):
        assert 1 <= found.column <= len(source) + 1
        str(found).encode()
    elif not isinstance(found, QueryError):
        assert parse(str(found)) == found


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_source_parses_or_is_refused_with_a_column_within_it(source):
    check(source)


@given(st.text("ab \"'\\()+-*/0.5:@textimageid", max_size=40))
def test_any_heap_of_grammar_characters_parses_or_is_refused(source):
    check(source)


@pytest.mark.parametrize(
    "unit", ["(", "-", "+1", "2*", "1", "'", '"', '\\"', "a -", "1.", "-(", "text:", "a "]
)
def test_long_hostile_sources_end_in_an_answer(unit):
    check(unit * 3000)


SAVED = {"barks": audio("bark.wav") - 0.5 * text("cat"), "night-trains": text("train"), "a.b": segment(1)}


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ("@barks", SAVED["barks"]),
        ("2*@barks", 2 * SAVED["barks"]),
        ("@barks + @night-trains", SAVED["barks"] + SAVED["night-trains"]),
        ("dog -@barks", text("dog") - SAVED["barks"]),
        ("-(@a.b + dog)/2", -(segment(1) + text("dog")) / 2),
        ("@barks*0.5", 0.5 * SAVED["barks"]),
        ("mail me @home", text("mail me @home")),
        ('"@barks"', text("@barks")),
    ],
)
def test_saved_queries_stand_in_brackets(source, query):
    assert parse(source, saved=SAVED) == query


@pytest.mark.parametrize(("source", "hint"), [("@bark", "@barks"), ("x + @zebra", "searchkit saved")])
def test_an_unknown_saved_query_says_what_there_is(source, hint):
    with pytest.raises(QuerySyntaxError, match="no query is saved") as caught:
        parse(source, saved=SAVED)
    assert hint in caught.value.hint
    assert caught.value.column == source.index("@") + 1

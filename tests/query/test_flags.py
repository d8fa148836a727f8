import functools

import pytest

from searchkit.errors import QueryError
from searchkit.query import audio, feedback, from_flags, image, parse, segment, text, video


def test_flags_are_sugar_for_sums():
    assert from_flags(
        ["in the snow"],
        audio=["bark.wav"],
        image=["a.jpg", "b.jpg"],
        minus_text=["night"],
        minus_image=["cat.jpg"],
        minus_audio=["meow.wav"],
        minus_video=["v.mp4"],
        expr="2*id:1",
    ) == parse(
        '2*id:1 + text:"in the snow" + audio:bark.wav + image:a.jpg + image:b.jpg '
        '- text:"night" - audio:meow.wav - image:cat.jpg - video:v.mp4'
    )


def test_judged_results_move_the_sum():
    moved = from_flags(["dog"], audio=["bark.wav"], like=[3, 4], unlike=[5])
    assert moved == feedback(text("dog") + audio("bark.wav"), [3, 4], [5])
    assert from_flags(like=[3]) == 0.75 * segment(3)


def test_expressions_are_read_as_the_caller_reads_them():
    saved = {"barks": audio("bark.wav")}
    read = functools.partial(parse, saved=saved)
    assert from_flags(expr="2*@barks", read=read) == 2 * audio("bark.wav")


def test_values_end_in_a_weight():
    assert from_flags(["snow^2"], audio=["bark.wav^0.5"], minus_image=["a b.jpg^.25"]) == (
        2 * text("snow") + 0.5 * audio("bark.wav") - 0.25 * image("a b.jpg")
    )


def test_values_carry_a_span_before_the_weight():
    assert from_flags(video=["clip.mp4@3.5-7^0.5"]) == 0.5 * video("clip.mp4", 3.5, 7)
    assert from_flags(audio=["talk.ogg@1:30-"]) == audio("talk.ogg", 90)


def test_a_file_that_is_really_named_so_wins(tmp_path):
    for name in ("bark.wav^0.5", "clip.mp4@3-7", "a.jpg^2"):
        (tmp_path / name).touch()
    assert from_flags(audio=[f"{tmp_path}/bark.wav^0.5"]) == audio(tmp_path / "bark.wav^0.5")
    assert from_flags(image=[f"{tmp_path}/a.jpg^2"]) == image(tmp_path / "a.jpg^2")
    assert from_flags(video=[f"{tmp_path}/clip.mp4@3-7^2"]) == 2 * video(tmp_path / "clip.mp4@3-7")


def test_words_of_text_flags_hold_no_operators():
    assert from_flags(["dog - cat", "image:x"]) == text("dog - cat") + text("image:x")


def test_paths_stay_as_typed():
    assert str(from_flags(image=["./x/../cat.jpg"])) == "image:./x/../cat.jpg"


def test_no_term_says_what_to_type():
    with pytest.raises(QueryError, match="no term") as caught:
        from_flags()
    assert "--audio" in caught.value.hint


@pytest.mark.parametrize(
    "flags",
    [
        {"like": [-1]},
        {"like": [3], "unlike": [3]},
        {"text": [""]},
        {"image": ["a^1e999"]},
        {"video": ["a@7-3"]},
    ],
)
def test_bad_values_are_query_errors(flags):
    with pytest.raises(QueryError):
        from_flags(**flags)

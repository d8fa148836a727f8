"""What scores say for an encoder that was measured."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from searchkit.query import CUTOFF, audio, image, segment, text, video
from searchkit.query.embed import EmbeddedQuery
from searchkit.query.evidence import MEASURED, Evidence, evidence_for, match_probability
from searchkit.types import Modality

TEXT, IMAGE, AUDIO = Modality.TEXT, Modality.IMAGE, Modality.AUDIO


def evidence(query, target, shares=None, encoder="mini"):
    count = len(query.terms)
    given_shares = np.array(shares or [1.0] * count, np.float32)
    embedded = EmbeddedQuery(query, np.zeros(4, np.float32), np.zeros((count, 4), np.float32), given_shares)
    return evidence_for(embedded, encoder, target, lambda id: AUDIO)


def weights(source, target):
    return Evidence(MEASURED["mini"][source, target])


@given(st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=8), st.sampled_from(sorted(MEASURED["mini"])))
@example([0.0, -6.83253010305097e-255], (TEXT, AUDIO))
def test_a_higher_score_never_says_less(scores, pair):
    found = weights(*pair)
    values = [found.of(score) for score in sorted(scores)]
    assert values == sorted(values)
    assert np.isfinite(values).all()


def test_a_clearly_higher_score_says_more():
    for pair in MEASURED["mini"]:
        found = weights(*pair)
        values = [found.of(score / 10) for score in range(-3, 11)]
        assert all(low < high for low, high in itertools.pairwise(values))


def test_every_pair_of_modalities_was_measured():
    for pairs in MEASURED.values():
        assert set(pairs) == set(itertools.product((TEXT, IMAGE, AUDIO), repeat=2))


def test_a_score_means_what_it_means_for_its_pair_of_modalities():
    assert evidence(text("dog"), IMAGE).of(0.3) == weights(TEXT, IMAGE).of(0.3)
    assert evidence(audio("bark.wav"), TEXT).of(0.3) == weights(AUDIO, TEXT).of(0.3)
    assert evidence(segment(7), IMAGE).of(0.3) == weights(AUDIO, IMAGE).of(0.3)
    # Pictures resemble one another anyhow.
    assert evidence(image("a.jpg"), IMAGE).of(0.4) < evidence(text("dog"), IMAGE).of(0.4)


def test_terms_speak_by_their_weight_and_subtracted_ones_not_at_all():
    both = evidence(text("snow") + audio("bark.wav"), IMAGE, [0.9, 0.3]).of(0.25)
    parts = weights(TEXT, IMAGE).of(0.25), weights(AUDIO, IMAGE).of(0.25)
    assert both == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])
    assert evidence(text("dog") - image("cat.jpg"), IMAGE, [1.0, -0.5]).of(0.25) == pytest.approx(parts[0])
    assert evidence(-text("dog"), IMAGE, [-1.0]).of(0.25) == pytest.approx(parts[0])
    film = evidence(video("clip.mp4"), TEXT).of(0.25)
    assert film == pytest.approx((weights(IMAGE, TEXT).of(0.25) + weights(AUDIO, TEXT).of(0.25)) / 2)


def test_an_encoder_that_was_not_measured_says_nothing():
    assert evidence(text("dog"), IMAGE, encoder="somebody-elses") is None


def test_more_is_asked_of_a_score_in_a_larger_library():
    assert match_probability(2.0, 30) > match_probability(2.0, 1000)
    assert match_probability(0.0, 100) == pytest.approx(0.05)
    # Not so much, though, that a large library would never hold a good match.
    assert match_probability(2.7, 10**7) == match_probability(2.7, 1000) > 2 * CUTOFF
    assert match_probability(0.0, 2) == match_probability(0.0, 25) == pytest.approx(0.1)
    assert match_probability(-1e6, 10) == 0
    assert match_probability(1e6, 10) == 1


def test_what_is_nearly_the_query_itself_comes_before_all_else():
    sound = evidence(audio("bark.wav"), AUDIO)
    best = max(evidence(audio("bark.wav"), kind).of(0.96) for kind in (TEXT, IMAGE, AUDIO))
    assert sound.of(0.999) > best + 5
    assert evidence(audio("bark.wav"), IMAGE).of(0.999) < best + 5
    assert not evidence(audio("bark.wav") + text("snow"), AUDIO, [0.5, 0.5]).same_kind

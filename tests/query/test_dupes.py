import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import searchkit as sk
from searchkit.query.dupes import connected, duplicate_pairs, near_duplicates
from searchkit.stores.exact import ExactStore


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def store():
    """60 unrelated rows, then 40 near-copies of row 0 and 3 of row 1."""
    rng = np.random.default_rng(0)
    originals = rng.standard_normal((60, 32))
    copies = np.concatenate([np.repeat(originals[:1], 40, 0), np.repeat(originals[1:2], 3, 0)])
    rows = unit(np.concatenate([originals, copies + 0.02 * rng.standard_normal(copies.shape)]))
    filled = ExactStore(32)
    filled.upsert(list(range(100, 203)), rows)
    return filled


def test_groups_hold_all_near_copies_however_many(store):
    assert near_duplicates(store) == [[100, *range(160, 200)], [101, 200, 201, 202]]


def test_each_pair_comes_once_with_its_cosine(store):
    pairs = list(duplicate_pairs(store, 0.97))
    assert len(pairs) == len({(a, b) for a, b, _ in pairs}) == 41 * 40 // 2 + 6
    assert all(a < b and 0.97 <= cosine <= 1.001 for a, b, cosine in pairs)


def test_only_the_ids_asked_for_take_part(store):
    assert near_duplicates(store, among=[100, 160, 101, 5 + 100]) == [[100, 160]]


def test_a_higher_threshold_finds_less(store):
    assert near_duplicates(store, threshold=1.0) == []


def test_progress_reaches_the_end(store):
    seen = []
    near_duplicates(store, progress=seen.append)
    assert seen[-1] == len(store)


def test_an_empty_store_has_none():
    assert near_duplicates(ExactStore(4)) == []


def test_refuses_a_threshold_that_is_no_cosine(store):
    with pytest.raises(ValueError, match="cosine"):
        near_duplicates(store, threshold=97)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=25))
def test_connected_groups_are_the_reachable_ones(pairs):
    groups = connected(pairs)
    members = [member for group in groups for member in group]
    assert len(members) == len(set(members))
    of = {member: number for number, group in enumerate(groups) for member in group}
    assert all(of[a] == of[b] for a, b in pairs if a != b)
    for group in groups:
        reached, grown = {group[0]}, True
        while grown:
            more = {m for a, b in pairs for m in (a, b) if a in reached or b in reached}
            grown = not more <= reached
            reached |= more
        assert sorted(reached) == group


def test_two_sounds_of_a_kind_are_no_copies(tmp_path, sample_media):
    media = tmp_path / "media"
    media.mkdir()
    for name in ("dog_barking.ogg", "dog_barks_short.wav"):
        shutil.copy(sample_media / "sounds" / name, media)
    wave, rate_hz = soundfile.read(media / "dog_barking.ogg")
    soundfile.write(media / "same_quieter.flac", 0.7 * wave, rate_hz)
    with sk.open_library(tmp_path / "library", decoder="threads") as library:
        library.index(media)
        (group,) = library.duplicates(to="audio")
    assert {file.path.name for file in group.files} == {"dog_barking.ogg", "same_quieter.flac"}

"""Centred scores in a space whose modalities lie far apart."""

import contextlib

import numpy as np
import pytest
from PIL import Image

import searchkit as sk
from searchkit.catalog import spaces
from searchkit.query import centre
from searchkit.types import ImageSample, Modality, Space, TextSample

COLOURS = ("red", "green", "blue")
DIM = 8


class GapEncoder:
    """Colours, seen or read, on three axes, and each modality far out on an axis of its own."""

    space = Space("gap", "1", "none", DIM)
    modalities = frozenset({Modality.TEXT, Modality.IMAGE})
    audio_rate_hz = 16_000

    def encode(self, samples):
        rows = np.zeros((len(samples), DIM))
        for row, sample in zip(rows, samples, strict=True):
            if isinstance(sample, ImageSample):
                row[:3] = sample.pixels.mean(axis=(0, 1)) / 255
                row[6] = 4
            else:
                row[:3] = [sample.text.count(colour) for colour in COLOURS]
                row[7] = 2
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def close(self):
        pass


@pytest.fixture
def library(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    for number, colour in enumerate(COLOURS):
        for shade in range(8):
            pixels = np.zeros((8, 8, 3), np.uint8)
            pixels[..., number] = 150 + 15 * shade
            Image.fromarray(pixels).save(media / f"{colour}{shade}.png")
            (media / f"{colour}{shade}-words.txt").write_text(f"{colour} {'and grey ' * shade}")
    with sk.open_library(tmp_path / "library", decoder="threads") as opened:
        opened._encoder = GapEncoder()
        opened.index(media)
        yield opened


def rows_of(library, modality):
    with library.catalog.read() as connection:
        ((space_id, _),) = spaces.spaces(connection)
        refs = spaces.collections_of(connection, space_id)
    (ref,) = (ref for ref in refs if ref.modality is modality)
    with contextlib.closing(library.open_store(ref, DIM, read_only=True)) as store:
        ids = store.ids()
        return ref, dict(zip(ids.tolist(), store.fetch(ids), strict=True))


def test_the_catalog_keeps_mean_and_variance_of_each_collection(library):
    for modality in (Modality.TEXT, Modality.IMAGE):
        ref, rows = rows_of(library, modality)
        values = np.stack(list(rows.values()))
        assert ref.mean_rows == len(values) == 24
        np.testing.assert_allclose(ref.mean, values.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(ref.variance, values.var(axis=0), atol=1e-6)


def test_centred_scores_are_cosines_of_what_is_left_without_the_means(library):
    texts, _ = rows_of(library, Modality.TEXT)
    images, rows = rows_of(library, Modality.IMAGE)
    raw = GapEncoder().encode([TextSample("green")])
    query = centre(raw, texts.mean)[0]
    found = library.search("green", to="image", k=8, centred=True)
    assert {result.path.name for result in found} == {f"green{shade}.png" for shade in range(8)}
    for result in found:
        expected = centre(rows[result.segment_id][None], images.mean)[0] @ query
        assert result.score == pytest.approx(expected, abs=1e-5)
    assert found[0].score > 0.9
    assert library.search("green", to="image", k=1)[0].score < 0.2
    assert [result.score for result in found] == sorted((r.score for r in found), reverse=True)


def test_centred_searches_filter_explain_and_compose(library):
    few = library.search("red", to="image", k=5, where="path:**/blue*", centred=True)
    assert len(few) == 5
    query = sk.text("red") - 0.5 * sk.text("blue")
    best = library.search(query, to="image", k=1, centred=True)[0]
    assert best.path.name.startswith("red")
    why = library.explain(query, best.path, to="image", centred=True)
    assert why.rank == why.collection_rank == 1
    assert why.score == pytest.approx(best.score, abs=1e-5)
    assert sum(term.contribution for term in why.terms) == pytest.approx(why.score, abs=1e-5)
    own = library.search(f"id:{best.segment_id}", to="image", k=3, centred=True)
    assert all(result.path.name.startswith("red") for result in own)


def test_a_library_can_be_set_to_compare_centred(library, tmp_path):
    library.close()
    settings = tmp_path / "library" / "library.toml"
    settings.write_text(settings.read_text() + 'centring = "on"\n')
    with sk.open_library(tmp_path / "library", decoder="threads") as opened:
        opened._encoder = GapEncoder()
        assert opened.search("green", to="image", k=1)[0].score > 0.9
        assert opened.search("green", to="image", k=1, centred=False)[0].score < 0.2

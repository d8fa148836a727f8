"""What every Encoder does, as a pytest class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from searchkit.errors import ModalityUnsupported
from searchkit.types import AudioSample, Encoder, ImageSample, Modality, Sample, TextSample

__all__ = ["EncoderContract", "samples_of"]

_TEXTS = (
    "a dog barks",
    "snow",
    "a long sentence about rain that falls on a tin roof at night, and a bell",
    "é 犬",
)


def samples_of(modality: Modality, rate_hz: int) -> list[Sample]:
    """Four samples of one modality, of different sizes and content, the same on each call."""
    random = np.random.default_rng(3)
    if modality is Modality.TEXT:
        return [TextSample(text) for text in _TEXTS]
    if modality is Modality.IMAGE:
        sizes = ((64, 64), (120, 80), (33, 200), (1, 1))
        return [ImageSample(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    tones = [(0.4, 440.0), (1.0, 1000.0), (2.5, 80.0), (0.01, 3000.0)]
    return [
        AudioSample(
            (0.5 * np.sin(2 * np.pi * hz * np.arange(max(1, int(rate_hz * length_s))) / rate_hz)).astype(
                np.float32
            ),
            rate_hz,
        )
        for length_s, hz in tones
    ]


class EncoderContract:
    """What every Encoder does.

    Attributes:
        tolerance: how far an element may move when a sample is embedded in another batch.
    """

    tolerance: ClassVar[float] = 2e-4

    def open_encoder(self) -> Encoder:
        """A new encoder; called once for each test class unless it is closed and opened again."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls) -> Iterator[Encoder]:
        """The encoder that the tests of one class share."""
        encoder = cls().open_encoder()
        yield encoder
        encoder.close()

    def samples(self, encoder: Encoder) -> list[Sample]:
        """Samples of all modalities that the encoder embeds, mixed."""
        groups = [samples_of(each, encoder.audio_rate_hz) for each in sorted(encoder.modalities)]
        return [group[place] for place in range(4) for group in groups]

    def test_modalities_are_some_of_text_image_and_audio(self, encoder: Encoder) -> None:
        assert encoder.modalities
        assert encoder.modalities <= {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}

    def test_rows_are_float32_of_unit_length_and_of_the_space(self, encoder: Encoder) -> None:
        samples = self.samples(encoder)
        rows = encoder.encode(samples)
        assert rows.shape == (len(samples), encoder.space.dim)
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)

    def test_different_samples_get_different_rows(self, encoder: Encoder) -> None:
        for modality in encoder.modalities:
            rows = encoder.encode(samples_of(modality, encoder.audio_rate_hz)[:3])
            assert float(np.triu(rows @ rows.T, 1).max()) < 0.9999

    def test_order_is_kept_whatever_the_mix(self, encoder: Encoder) -> None:
        samples = self.samples(encoder)
        rows = encoder.encode(samples)
        order = np.random.default_rng(1).permutation(len(samples))
        shuffled = encoder.encode([samples[place] for place in order])
        np.testing.assert_allclose(shuffled, rows[order], atol=self.tolerance)

    def test_a_row_does_not_depend_on_its_neighbours(self, encoder: Encoder) -> None:
        samples = self.samples(encoder)
        together = encoder.encode(samples)
        alone = np.concatenate([encoder.encode([sample]) for sample in samples])
        np.testing.assert_allclose(alone, together, atol=self.tolerance)

    def test_no_samples_give_no_rows(self, encoder: Encoder) -> None:
        rows = encoder.encode([])
        assert rows.shape == (0, encoder.space.dim)
        assert rows.dtype == np.float32

    def test_a_modality_that_it_lacks_is_refused(self, encoder: Encoder) -> None:
        for modality in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO):
            if modality not in encoder.modalities:
                with pytest.raises(ModalityUnsupported):
                    encoder.encode(samples_of(modality, encoder.audio_rate_hz)[:1])

    def test_it_works_again_after_closing(self) -> None:
        encoder = self.open_encoder()
        samples = self.samples(encoder)
        before = encoder.encode(samples[:3])
        encoder.close()
        encoder.close()
        np.testing.assert_allclose(encoder.encode(samples[:3]), before, atol=self.tolerance)
        encoder.close()

    def test_the_space_is_the_same_each_time(self, encoder: Encoder) -> None:
        before = encoder.space
        encoder.encode(self.samples(encoder)[:1])
        again = self.open_encoder()
        try:
            assert again.space == before == encoder.space
            assert again.space.fingerprint == before.fingerprint
        finally:
            again.close()

import numpy as np
import pytest

from searchkit.encoders.mini.logmel import PATCH_SAMPLES, log_mel_patches


@pytest.mark.parametrize(
    ("samples", "patches"),
    [(1, 1), (PATCH_SAMPLES, 1), (PATCH_SAMPLES + 160, 2), (PATCH_SAMPLES + 48 * 160, 2), (16_000 * 15, 31)],
)
def test_patches_cover_a_sound_of_any_length(samples: int, patches: int) -> None:
    assert log_mel_patches(np.ones(samples, np.float32)).shape == (patches, 1, 96, 64)


def test_the_last_patch_ends_with_the_sound() -> None:
    waveform = np.zeros(PATCH_SAMPLES + 100 * 160, np.float32)
    waveform[-400:] = 0.5 * np.sin(np.arange(400))
    patches = log_mel_patches(waveform)
    assert patches[-1, 0, -1].max() > patches[0].max() + 1


@pytest.mark.parametrize(("hertz", "band"), [(200, 1), (1000, 19), (3000, 41), (7000, 62)])
def test_a_tone_is_loudest_in_the_band_of_its_pitch(hertz: int, band: int) -> None:
    time_s = np.arange(16_000) / 16_000
    patches = log_mel_patches(np.sin(2 * np.pi * hertz * time_s).astype(np.float32))
    # mel(f) = 1127 ln(1 + f / 700): 64 centres, 39.8 mel apart, the first at 225 mel.
    assert int(patches.mean(axis=(0, 1, 2)).argmax()) == band


def test_blocks_leave_no_seam() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.standard_normal(16_000 * 50).astype(np.float32)
    whole = log_mel_patches(waveform)
    # Frame 4096 is the first of the second block: 4096 / 48 is patch 85.
    again = log_mel_patches(waveform[84 * 48 * 160 :])
    np.testing.assert_allclose(whole[84:88], again[:4], atol=1e-4)

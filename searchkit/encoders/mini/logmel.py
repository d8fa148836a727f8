"""Log-mel patches of 0.96 s as YAMNet wants them, in plain numpy; knows nothing of files or models."""

from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

RATE_HZ = 16_000
FRAME_SAMPLES, HOP_SAMPLES, FFT_SAMPLES = 400, 160, 512
MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ = 64, 125.0, 7500.0
LOG_OFFSET = 0.001
PATCH_FRAMES, PATCH_HOP_FRAMES = 96, 48
PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES
LEVEL, MOST_GAIN = 0.1, 30.0


def at_common_level(waveform: Floats) -> Floats:
    """Bring a waveform (n,) to a root mean square of 0.1 (-20 dB) and repeat it until it fills a patch.

    What is faint is amplified by 30 at most, so that silence stays silence.
    """
    if waveform.size < PATCH_SAMPLES:
        waveform = np.tile(waveform, -(-PATCH_SAMPLES // waveform.size))[:PATCH_SAMPLES]
    # Samples far beyond 1 must not overflow when they are squared.
    waveform = waveform / np.float32(max(1.0, float(np.abs(waveform).max())))
    level = float(np.sqrt(np.mean(np.square(waveform), dtype=np.float64)))
    return np.asarray(waveform * np.float32(min(LEVEL / max(level, 1e-6), MOST_GAIN)), dtype=np.float32)


def log_mel_patches(waveform: Floats) -> Floats:
    """Cut a mono waveform at 16 kHz into overlapping log-mel patches.

    Args:
        waveform: (n,) float32, n >= 1. A sound shorter than one patch (0.975 s) is padded with silence.

    Returns:
        (P, 1, 96, 64) float32, P >= 1; patches start every 0.48 s, and a shorter rest is covered by a last
        patch that ends with the sound.
    """
    if waveform.size < PATCH_SAMPLES:
        waveform = np.pad(waveform, (0, PATCH_SAMPLES - waveform.size))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME_SAMPLES)[::HOP_SAMPLES]
    # Blocks of patches keep the spectra of an hour of sound from being in memory at once.
    log_mel = np.concatenate([_log_mel(frames[i : i + 4096]) for i in range(0, len(frames), 4096)])
    last = len(log_mel) - PATCH_FRAMES
    starts = list(range(0, last + 1, PATCH_HOP_FRAMES))
    if starts[-1] != last:
        starts.append(last)
    return np.stack([log_mel[start : start + PATCH_FRAMES] for start in starts])[:, None]


def _log_mel(frames: Floats) -> Floats:
    spectra = np.abs(np.fft.rfft(frames * _hann(), FFT_SAMPLES, axis=1)).astype(np.float32)
    return np.asarray(np.log(spectra @ _mel_weights() + np.float32(LOG_OFFSET)), dtype=np.float32)


@cache
def _hann() -> Floats:
    phase = 2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    return np.asarray(0.5 - 0.5 * np.cos(phase), dtype=np.float32)


@cache
def _mel_weights() -> Floats:
    """(257, 64) triangles, linear on the HTK mel scale, of which the constant bin has no part."""
    hertz = np.linspace(0.0, RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    mels = 1127.0 * np.log1p(hertz / 700.0)
    low, high = (1127.0 * np.log1p(edge / 700.0) for edge in (MEL_LOW_HZ, MEL_HIGH_HZ))
    edges = np.linspace(low, high, MEL_BANDS + 2)
    rising = (mels[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return np.asarray(weights, dtype=np.float32)

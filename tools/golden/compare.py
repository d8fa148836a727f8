"""Comparison of one tensor with its recorded value, and the line that is printed for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EMBEDDING = 2e-6
LOGIT = 1e-5
PIXEL_COORDINATE = 5e-4
INTERMEDIATE = 5e-5
GRADIENT = 5e-6
AUDIO_SIGNAL = 5e-6
BFLOAT16_COSINE = 1e-3

# The name of the check that a recorded tensor gets, by the file that holds it.
_LABELS = {
    "expected.npz": "{}",
    "expected_bf16.npz": "{} bfloat16, 1 - cosine",
    "expected_audio.npz": "{}",
    "expected_images_float32.npz": "{}.float32",
    "buffers_rp_bucket.npz": "buffer.{}",
    "grads.npz": "gradient.{}",
}


@dataclass(frozen=True)
class Check:
    """One compared tensor: its largest absolute error and what is allowed."""

    name: str
    error: float
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance

    def line(self) -> str:
        """What the tool prints."""
        verdict = "ok  " if self.passed else "FAIL"
        note = f"  {self.note}" if self.note else ""
        return f"{verdict} {self.name}: {self.error:.3g} (tolerance {self.tolerance:.3g}){note}"


def compare(
    name: str,
    actual: Any,
    expected: np.ndarray,
    tolerance: float,
    *,
    valid: np.ndarray | None = None,
    scaled: bool = False,
) -> Check:
    """Compare two arrays.

    Args:
        name: printed.
        actual: what this implementation gives; a tensor or an array.
        expected: what is recorded; NaN must be met by NaN.
        tolerance: allowed absolute error.
        valid: True where positions count, broadcast over trailing axes; None counts all.
        scaled: multiply the tolerance by the largest recorded magnitude where that is above 1.
    """
    found = np.asarray(actual.detach().float().cpu() if hasattr(actual, "detach") else actual)
    if found.shape != expected.shape:
        return Check(name, float("inf"), tolerance, f"shape {found.shape}, recorded {expected.shape}")
    if expected.dtype == np.bool_ or np.issubdtype(expected.dtype, np.integer):
        return Check(name, float(np.count_nonzero(found != expected)), 0.0)
    left, right = found.astype(np.float64), expected.astype(np.float64)
    if valid is not None:
        left, right = left[valid], right[valid]
    both_nan = np.isnan(left) & np.isnan(right)
    error = np.where(both_nan, 0.0, np.abs(left - right))
    if scaled and right.size:
        tolerance *= max(1.0, float(np.nan_to_num(np.abs(right)).max()))
    largest = float(error.max(initial=0.0))
    return Check(name, float("inf") if np.isnan(largest) else largest, tolerance)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file by name; nothing where there is no file."""
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def uncompared(folder: Path, done: Iterable[Check]) -> Iterator[Check]:
    """A failed check for every recorded tensor of a folder that no check was made of."""
    names = {check.name for check in done}
    ends = {name.rpartition(" ")[2] for name in names}
    for path in sorted(folder.glob("*.npz")):
        if path.name == "inputs.npz":
            continue
        if path.name not in _LABELS:
            yield Check(path.name, float("inf"), 0.0, "no check knows this file")
            continue
        for key in load_npz(path):
            label = _LABELS[path.name].format(key)
            if label not in names | ends and not _is_input(key, names):
                yield Check(label, float("inf"), 0.0, "recorded, but not compared")


def _is_input(key: str, names: set[str]) -> bool:
    """Whether a recorded tensor is what a recorded loss, which was compared, was computed from."""
    stem, _, part = key.rpartition("_")
    return part in ("logits", "target") and f"{stem}_loss" in names


def failed(name: str, error: BaseException) -> Iterator[Check]:
    """A check that could not even run."""
    yield Check(name, float("inf"), 0.0, f"{type(error).__name__}: {error}")

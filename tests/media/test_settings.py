from __future__ import annotations

import json
from dataclasses import replace

import pytest

from searchkit.media import DecodeSettings, Facts


def test_the_fingerprint_follows_what_changes_samples() -> None:
    plain = DecodeSettings()
    assert plain.fingerprint == DecodeSettings().fingerprint
    changed = {
        replace(plain, **change).fingerprint
        for change in (
            {"audio_rate_hz": 8_000},
            {"audio_window_s": 10.0},
            {"video_max_frames": 10},
            {"passage_chars": 300},
            {"image_max_side_px": None},
        )
    }
    assert len(changed | {plain.fingerprint}) == 6
    assert replace(plain, max_pixels=1, max_seconds=1, max_bytes=1).fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    "bad",
    [
        {"audio_rate_hz": 0},
        {"audio_window_s": float("nan")},
        {"audio_overlap_s": 15.0},
        {"audio_overlap_s": -1.0},
        {"passage_overlap_chars": 600},
        {"image_max_side_px": 0},
        {"video_min_frames": 500},
    ],
)
def test_values_that_make_no_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        DecodeSettings(**bad)  # type: ignore[arg-type]


def test_facts_survive_json() -> None:
    facts = Facts(width_px=3, duration_s=1.5, taken_at="2020-01-02T03:04:05", title="é")
    assert Facts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
    assert Facts.from_dict({"width_px": 3, "unknown": 1}) == Facts(width_px=3)
    assert Facts().to_dict() == {}

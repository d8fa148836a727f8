"""Captioned two-second sounds: a sound font played by chance, and recordings; no model."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import tinysoundfont
from mini.arrays import Array

from .instruments import DRUMS, INSTRUMENTS, RECORDED

RATE_HZ = 16_000
CLIP_S = 2
RENDER_HZ = 32_000
CLIPS_PER_INSTRUMENT, CLIPS_PER_DRUM, CLIPS_PER_RECORDING = 20, 8, 6
SILENCE = 1e-3
_SCALES = ((0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 10, 12), (0, 2, 4, 7, 9, 12))
_EFFECTS = 120


@dataclass(frozen=True)
class Sound:
    """A clip (n,) at 16 kHz, what it is called, and which take of that it is, counted from 0.

    Its name is all that is said of it: the frozen text tower never read "the sound of" in front of a name,
    which makes all of them alike to it.
    """

    waveform: Array
    name: str
    take: int
    source: str


def font_sounds(font: Path) -> Iterator[Sound]:
    """Every instrument and drum of a General MIDI sound font, played by seeded chance."""
    synth = tinysoundfont.Synth(gain=-6, samplerate=RENDER_HZ)
    loaded = synth.sfload(str(font))
    for program, name in enumerate(INSTRUMENTS):
        for take in range(CLIPS_PER_INSTRUMENT):
            chance = random.Random(f"{name} {take}")
            synth.program_select(0, loaded, 0, program)
            clip = _play(synth, 0, _phrase(chance, effect=program >= _EFFECTS))
            if np.abs(clip).max() > SILENCE:
                yield Sound(clip, name, take, "sound font")
    for key, name in DRUMS.items():
        for take in range(CLIPS_PER_DRUM):
            chance = random.Random(f"{name} {take}")
            beat_s = chance.uniform(0.2, 0.7)
            start_s = chance.uniform(0, 0.3)
            strokes = [
                (start_s + n * beat_s, key, chance.randint(70, 127), 0.3) for n in range(chance.randint(1, 4))
            ]
            synth.program_select(9, loaded, 128, 0, True)
            clip = _play(synth, 9, strokes)
            if np.abs(clip).max() > SILENCE:
                yield Sound(clip, name, take, "sound font")


def recorded_sounds(folder: Path, pattern: str) -> Iterator[Sound]:
    """Recordings whose file names say what they are, each cut at several places."""
    for path in sorted(folder.rglob(pattern)):
        fitting = [start for start in RECORDED if path.stem.startswith(start)]
        if not fitting:
            continue
        name = RECORDED[max(fitting, key=len)]
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        whole = soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ, quality="HQ")
        room = len(whole) - CLIP_S * RATE_HZ
        takes = CLIPS_PER_RECORDING if room > 0 else 1
        for take in range(takes):
            start = random.Random(f"{path.name} {take}").randint(0, room) if room > 0 else 0
            clip = whole[start : start + CLIP_S * RATE_HZ]
            if len(clip) and np.abs(clip).max() > SILENCE:
                # All cuts of a recording are one take: none of them may be in training and test at once.
                yield Sound(clip, name, int(path.stem[-1]) if path.stem[-1].isdigit() else 0, path.name)


def _phrase(chance: random.Random, *, effect: bool) -> list[tuple[float, int, int, float]]:
    """Notes as (start in seconds, key, velocity, length in seconds)."""
    if effect:
        return [(0.0, chance.randint(48, 72), chance.randint(80, 127), CLIP_S)]
    root = chance.randint(40, 72)
    scale = chance.choice(_SCALES)
    kind = chance.choice(("note", "chord", "arpeggio", "tune", "tune"))
    loud = chance.randint(70, 127)
    if kind == "note":
        return [(chance.uniform(0, 0.2), root, loud, chance.uniform(0.6, 1.8))]
    if kind == "chord":
        length_s = chance.uniform(0.6, 1.8)
        return [(0.05, root + step, loud, length_s) for step in (0, scale[2], scale[4])]
    beat_s = chance.uniform(0.14, 0.45)
    steps = [*range(0, 8, 2)] * 4 if kind == "arpeggio" else [chance.randrange(8) for _ in range(14)]
    return [
        (n * beat_s, root + scale[step % len(scale)], min(127, loud + chance.randint(-15, 15)), beat_s * 0.9)
        for n, step in enumerate(steps)
        if n * beat_s < CLIP_S - 0.1
    ]


def _play(synth: tinysoundfont.Synth, channel: int, notes: list[tuple[float, int, int, float]]) -> Array:
    events = [(start, True, key, loud) for start, key, loud, _ in notes]
    events += [(start + length, False, key, 0) for start, key, _, length in notes]
    synth.sounds_off()
    parts: list[Array] = []
    done = 0
    for at_s, starts, key, loud in [*sorted(events), (float(CLIP_S), False, 0, 0)]:
        until = min(int(at_s * RENDER_HZ), CLIP_S * RENDER_HZ)
        if until > done:
            parts.append(np.frombuffer(synth.generate(until - done), dtype=np.float32).copy())
            done = until
        if starts:
            synth.noteon(channel, key, loud)
        else:
            synth.noteoff(channel, key)
    stereo = np.concatenate(parts).reshape(-1, 2)
    return soxr.resample(stereo.mean(axis=1), RENDER_HZ, RATE_HZ, quality="HQ").astype(np.float32)

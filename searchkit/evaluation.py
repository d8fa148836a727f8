"""Evaluation of an encoder on a set: every pair of modalities, and composed queries; needs no library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.config import default_library, load_settings
from searchkit.encoders import open_encoder
from searchkit.errors import DecodeError, QueryError, UsageError
from searchkit.loading import decode_settings_for, load_samples
from searchkit.query import Evaluation, embed_query, evaluate
from searchkit.query.dataset import Entry, read_manifest
from searchkit.types import Encoder, FloatArray, Modality, Sample

__all__ = ["Pair", "Report", "evaluate_dataset", "evaluate_entries"]

KS = (1, 5, 10)
"""Depths of the measures."""

Load = Callable[[Path, Modality], Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Pair:
    """The measures of one kind of query against one modality.

    Attributes:
        kind: what searched: a modality, or the kinds of a composed query, such as "text+audio".
        target: what was found.
        targets: how many there were to choose from.
        measures: means over the queries.
    """

    kind: str
    target: Modality
    targets: int
    measures: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "from": self.kind,
            "to": self.target.value,
            "targets": self.targets,
            **self.measures.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation.

    Attributes:
        space: the encoder's space.
        pairs: one for each kind of query and modality with something relevant in it.
        failed: why lines were left out, by their ids.
    """

    space: str
    pairs: tuple[Pair, ...]
    failed: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "space": self.space,
            "pairs": [pair.to_dict() for pair in self.pairs],
            "failed": dict(self.failed),
        }


def evaluate_dataset(
    manifest: Path,
    *,
    library: Path | None = None,
    model: str | None = None,
    model_dir: Path | None = None,
    prompts: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Measure how well an encoder finds what a manifest calls relevant.

    Args:
        manifest: the set; see ``searchkit.query.dataset``.
        library: whose settings to use; it need not exist.
        model: encoder, when not the settings'.
        model_dir: where its files lie.
        prompts: what to make of words before they are embedded; see ``Library.search``.
        progress: told the step, how much of it is done, and how much there is.

    Raises:
        UsageError: the manifest cannot be read, or nothing of it can be measured.
    """
    entries = read_manifest(manifest)
    settings = load_settings(library or default_library(), {"model": model, "model_dir": model_dir})
    encoder = open_encoder(settings.model, settings.model_dir)
    try:
        decoding = decode_settings_for(encoder, settings)
        return evaluate_entries(
            entries,
            encoder,
            lambda path, modality: load_samples(path, modality, decoding),
            prompts=prompts,
            progress=progress,
        )
    finally:
        encoder.close()


def evaluate_entries(
    entries: Sequence[Entry],
    encoder: Encoder,
    load: Load,
    *,
    prompts: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """As ``evaluate_dataset``, with an encoder that is open and a function that opens files."""
    rows, failed = _embed(entries, encoder, load, prompts or ("{}",), progress)
    kept = [entry for entry in entries if entry.id in rows]
    kinds = list(dict.fromkeys(entry.kind for entry in kept if entry.relevant))
    targets = {modality: [e for e in kept if e.modality is modality] for modality in Modality}
    pairs = []
    for kind in kinds:
        for modality, found in targets.items():
            ids = {entry.id for entry in found}
            queries = [e for e in kept if e.kind == kind and (e.relevant - {e.id}) & ids]
            if queries:
                pairs.append(Pair(kind, modality, len(found), _measure(queries, found, rows)))
    if not pairs:
        raise UsageError(
            "nothing of the set can be measured: no line is left that finds a relevant one",
            hint="; ".join(f"{id}: {reason}" for id, reason in list(failed.items())[:3]),
        )
    return Report(encoder.space.fingerprint, tuple(pairs), failed)


def _embed(
    entries: Sequence[Entry],
    encoder: Encoder,
    load: Load,
    prompts: Sequence[str],
    progress: Callable[[str, int, int], None] | None,
) -> tuple[dict[str, FloatArray], dict[str, str]]:
    rows: dict[str, FloatArray] = {}
    failed: dict[str, str] = {}
    for done, entry in enumerate(entries, start=1):
        try:
            rows[entry.id] = _row(entry, encoder, load, prompts)
        except (DecodeError, QueryError) as error:
            failed[entry.id] = error.message
        if progress is not None:
            progress("embedding", done, len(entries))
    return rows, failed


def _row(entry: Entry, encoder: Encoder, load: Load, prompts: Sequence[str]) -> FloatArray:
    if entry.query is not None:
        return embed_query(entry.query, encoder, load=load, fetch=_no_segments, templates=prompts).vector
    if entry.path is None:
        raise QueryError(f"{entry.id} has neither words nor a file")
    mean = encoder.encode(list(load(entry.path, Modality.TEXT))).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def _measure(
    queries: Sequence[Entry], targets: Sequence[Entry], rows: Mapping[str, FloatArray]
) -> Evaluation:
    matrix = np.stack([rows[target.id] for target in targets])
    ids = [target.id for target in targets]
    rankings, relevant = [], []
    for query in queries:
        order = np.argsort(-(matrix @ rows[query.id]), kind="stable")
        # A line that is its own target would find itself first.
        rankings.append([ids[position] for position in order if ids[position] != query.id])
        relevant.append((query.relevant - {query.id}) & set(ids))
    return evaluate(rankings, relevant, KS)


def _no_segments(segment_id: int) -> FloatArray:
    raise QueryError(f"there is no library to take segment {segment_id} from")

"""Distillation: a small model learns to place a library's things as a large one did, from stored vectors.

The student is a head on a small model (``mini``, with what lies under its vectors), fitted in closed form:
for each modality ridge regression onto the teacher's vectors, on the features and, where it helps, on a layer
of random ones (Rahimi and Recht, NIPS 2008). Few libraries hold vectors of words, so the teacher embeds
everyday words, the words of file names and given captions anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.catalog import segments, spaces
from searchkit.catalog.segments import SegmentRow
from searchkit.encoders import mini, open_encoder
from searchkit.encoders.adapted import FeatureSource, Head, base_rows, write_head
from searchkit.errors import DecodeError, EncoderError, UsageError
from searchkit.library import Library, open_library
from searchkit.media import DecodeSettings, open_media
from searchkit.modality import Modality
from searchkit.training.agreement import Agreement, agreement
from searchkit.training.pairs import Skipped
from searchkit.training.ridge import fit_ridge
from searchkit.types import Encoder, FloatArray, Sample, TextSample

__all__ = ["DistillReport", "distill"]

Progress = Callable[[str, int, int], None]
_FEWEST = 20
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class DistillReport:
    """What came of it.

    Attributes:
        folder: the student; ``--model FOLDER`` uses it.
        space: fingerprint of its space.
        teacher: fingerprint of the teacher's space.
        files: how many files were learned from, and how many held out.
        rows: vectors that were learned from, by modality.
        agreements: how alike student and teacher are on held-out files.
        skipped: files that were left out, and why.
        seconds: how long it took.
    """

    folder: Path
    space: str
    teacher: str
    files: tuple[int, int]
    rows: Mapping[Modality, int]
    agreements: tuple[Agreement, ...]
    skipped: Skipped
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "space": self.space,
            "teacher": self.teacher,
            "files": {"trained": self.files[0], "heldout": self.files[1]},
            "rows": {modality.value: count for modality, count in self.rows.items()},
            "agreements": [found.to_dict() for found in self.agreements],
            "skipped": self.skipped.to_dict(),
            "seconds": round(self.seconds, 2),
        }


@dataclass(slots=True)
class _Lesson:
    """One thing: what the student reads of it, and where the teacher put it."""

    group: str
    features: FloatArray
    target: FloatArray


def distill(
    out: Path,
    *,
    library: Path | None = None,
    teacher: str | None = None,
    teacher_dir: Path | None = None,
    student: str = "mini",
    student_dir: Path | None = None,
    captions: Path | None = None,
    heldout: float = 0.2,
    max_files: int = 20_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> DistillReport:
    """Fit a small model to the vectors that a library holds of a large one.

    Args:
        out: the folder to make.
        library: the library; its files are decoded again for the student.
        teacher: the large model, when it is not the library's own.
        teacher_dir: where its files lie.
        student: the small model that gets a head.
        student_dir: where its files lie.
        captions: a text of lines that people may search with; the teacher embeds each.
        heldout: share of the files that is only measured on.
        max_files: learn from so many files at most.
        seed: which are held out.
        progress: told the step, how much of it is done, and how much there is.

    Raises:
        LibraryNotFound: there is no library.
        UsageError: it has too few vectors of the teacher, or the folder exists.
    """
    started_s = time.monotonic()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty", hint="name a new folder with --out")
    with ExitStack() as stack:
        opened = stack.enter_context(
            open_library(library, create=False, read_only=True, model=teacher, model_dir=teacher_dir)
        )
        small = open_encoder(student, student_dir)
        stack.callback(small.close)
        uses_features = isinstance(small, FeatureSource)
        skipped = Skipped()
        chosen = _chosen(opened, max_files, seed)
        settings = replace(opened.decode_settings, audio_rate_hz=small.audio_rate_hz)
        lessons = _from_files(chosen, opened, small, settings, uses_features, skipped, progress)
        words = _words(chosen, captions)
        spoken = _from_words(words, opened.encoder, small, uses_features)
        lessons.setdefault(Modality.TEXT, []).extend(spoken)
        groups = sorted({lesson.group for found in lessons.values() for lesson in found})
        held = _held(groups, heldout, seed)
        maps = {}
        for modality, found in lessons.items():
            learned = [lesson for lesson in found if lesson.group not in held]
            if len(learned) < _FEWEST:
                skipped.add(f"only {len(learned)} vectors of {modality} to learn from", modality)
                continue
            rows, targets = _stacked(learned)
            maps[modality] = fit_ridge(rows, targets, seed=seed)
        if not maps:
            raise UsageError(
                f"the library has too few vectors of {opened.space}", hint=f"index at least {_FEWEST} files"
            )
        tests = {m: [lesson for lesson in lessons[m] if lesson.group in held] for m in maps}
        agreements = _measured(maps, tests, small.space.dim)
        head = Head(
            base_model=student,
            base_dir=student_dir,
            base_space=small.space,
            maps=maps,
            dim=opened.space.dim,
            uses_features=uses_features,
            report={"agreements": [found.to_dict() for found in agreements]},
        )
        write_head(out, head)
        trained = open_encoder(str(out.absolute()))
        stack.callback(trained.close)
        files = {row.path for rows in chosen.values() for row, _ in rows}
        return DistillReport(
            folder=out,
            space=trained.space.fingerprint,
            teacher=opened.space.fingerprint,
            files=(len(files - held), len(files & held)),
            rows={m: sum(lesson.group not in held for lesson in lessons[m]) for m in maps},
            agreements=tuple(agreements),
            skipped=skipped,
            seconds=time.monotonic() - started_s,
        )


_Rows = list[tuple[SegmentRow, FloatArray]]


def _chosen(library: Library, max_files: int, seed: int) -> dict[str, _Rows]:
    """Segments with the teacher's vectors, by file."""
    found: dict[str, _Rows] = {}
    with library.catalog.read() as connection:
        space_id = spaces.find_space(connection, library.space)
        refs = spaces.collections_of(connection, space_id) if space_id is not None else []
        for ref in refs:
            ids = list(segments.ready_ids(connection, ref.id))
            rows = segments.join(connection, ids)
            store = library.open_store(ref, library.space.dim, read_only=True)
            try:
                kept = [id for id in ids if id in rows]
                for id, vector in zip(kept, store.fetch(kept), strict=True):
                    found.setdefault(rows[id].path, []).append((rows[id], vector))
            finally:
                store.close()
    paths = sorted(found)
    if len(paths) > max_files:
        picked = np.random.default_rng(seed).permutation(len(paths))[:max_files]
        paths = sorted(paths[place] for place in picked)
    return {path: found[path] for path in paths}


def _from_files(
    chosen: Mapping[str, _Rows],
    library: Library,
    small: Encoder,
    settings: DecodeSettings,
    features: bool,
    skipped: Skipped,
    progress: Progress | None,
) -> dict[Modality, list[_Lesson]]:
    lessons: dict[Modality, list[_Lesson]] = {}
    for done, (path, rows) in enumerate(chosen.items(), start=1):
        try:
            pairs = [pair for pair in _samples(path, rows, settings) if pair[0].modality in small.modalities]
            if not pairs:
                skipped.add("the small model cannot embed what it holds", path)
            read = base_rows(small, [sample for sample, _ in pairs], features=features)
            for (sample, target), row in zip(pairs, read, strict=True):
                lessons.setdefault(sample.modality, []).append(_Lesson(path, row, target))
        except DecodeError as error:
            skipped.add("a file cannot be read", f"{path}: {error.reason}")
        except EncoderError as error:
            skipped.add("the small model cannot embed it", f"{path}: {error}")
        if progress is not None:
            progress("reading files", done, len(chosen))
    return lessons


def _samples(path: str, rows: _Rows, settings: DecodeSettings) -> list[tuple[Sample, FloatArray]]:
    """A file's samples with the teacher's vector of each."""
    by_place = {}
    pairs: list[tuple[Sample, FloatArray]] = []
    for row, vector in rows:
        if row.encoded_as is Modality.TEXT and row.text:
            pairs.append((TextSample(row.text), vector))
        else:
            start_s = None if row.start_s is None else round(row.start_s, 2)
            by_place[row.encoded_as, start_s] = vector
    if by_place:
        modality = rows[0][0].modality
        for sample in open_media(path, settings.only(modality)).samples:
            start_s = None if sample.span is None else round(sample.span.start_s, 2)
            if (sample.modality, start_s) in by_place:
                pairs.append((sample, by_place[sample.modality, start_s]))
    return pairs


def _words(chosen: Mapping[str, _Rows], captions: Path | None) -> list[str]:
    """What people may search with: captions, words of file names, everyday words."""
    found: list[str] = []
    if captions is not None:
        try:
            found += captions.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{captions}: it cannot be read as UTF-8 text") from error
    for path in chosen:
        name = re.sub(r"[\W_\d]+", " ", Path(path).stem).strip()
        found += [name] if len(name) > 2 else []
    anchors = Path(str(mini.__file__)).parent / "model" / "anchors.txt"
    found += anchors.read_text(encoding="utf-8").splitlines() if anchors.is_file() else []
    return list(dict.fromkeys(words.strip() for words in found if words.strip()))


def _from_words(words: Sequence[str], large: Encoder, small: Encoder, features: bool) -> list[_Lesson]:
    if Modality.TEXT not in large.modalities & small.modalities:
        return []
    lessons = []
    for start in range(0, len(words), _AT_ONCE):
        samples = [TextSample(text) for text in words[start : start + _AT_ONCE]]
        targets = large.encode(samples)
        read = base_rows(small, samples, features=features)
        lessons += [
            _Lesson(f"text:{s.text}", row, t) for s, row, t in zip(samples, read, targets, strict=True)
        ]
    return lessons


def _held(groups: Sequence[str], share: float, seed: int) -> frozenset[str]:
    order = np.random.default_rng(seed).permutation(len(groups))
    return frozenset(groups[place] for place in order[: round(share * len(groups))])


def _stacked(lessons: Sequence[_Lesson]) -> tuple[FloatArray, FloatArray]:
    return np.stack([one.features for one in lessons]), np.stack([one.target for one in lessons])


def _measured(
    maps: Mapping[Modality, Callable[[FloatArray], FloatArray]],
    tests: Mapping[Modality, Sequence[_Lesson]],
    base_dim: int,
) -> list[Agreement]:
    """Neighbours within each modality, and those that words find."""
    placed = {}
    for modality, found in tests.items():
        if len(found) >= _FEWEST // 2:
            rows, targets = _stacked(found)
            # What lies under a vector ends with the vector itself.
            placed[modality] = (maps[modality](rows), targets, rows[:, -base_dim:])
    agreements = [agreement(m, m, *([part] * 2 for part in sides), same=True) for m, sides in placed.items()]
    for modality, sides in placed.items():
        if modality != Modality.TEXT and Modality.TEXT in placed:
            both = ([words, part] for words, part in zip(placed[Modality.TEXT], sides, strict=True))
            agreements.append(agreement(Modality.TEXT, modality, *both, same=False))
    return agreements

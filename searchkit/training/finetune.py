"""Fine-tuning on a user's own pairs: a model of its own, measured before and after on pairs it never saw.

Three ways: ``projection`` (a linear map a modality on frozen embeddings; every encoder, NumPy alone),
``lora`` (low-rank changes of ONE-PEACE's shared attention) and ``full`` (all of a ONE-PEACE model).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from searchkit.config import (
    SETTINGS_FILE,
    Settings,
    default_library,
    load_settings,
    own_settings,
    save_settings,
)
from searchkit.encoders import open_encoder
from searchkit.encoders.adapted import Head, write_head
from searchkit.errors import LibraryNotFound, ModelWorse, UsageError
from searchkit.library import open_library
from searchkit.loading import decode_settings_for, load_samples
from searchkit.modality import Modality
from searchkit.training import open_training
from searchkit.training.feedback import feedback_pairs
from searchkit.training.heldout import Comparison, retrieval, split_pairs
from searchkit.training.pairs import Load, Pair, PairSet, Side, Skipped, read_pairs
from searchkit.training.projection import ProjectionOptions, fit_projection, map_rows, trained_modalities
from searchkit.training.sides import embed_sides
from searchkit.types import Encoder, FloatArray, Sample

__all__ = ["METHODS", "FineTuneOptions", "FineTuneReport", "finetune", "make_default"]

METHODS = ("projection", "lora", "full")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FineTuneOptions:
    """How to fine-tune.

    Attributes:
        method: "projection", "lora" or "full".
        heldout: share of the files that is only measured on.
        seed: of the split and the training; the same seed gives the same model.
        epochs: passes over the pairs at most; None for the method's own number.
        learning_rate: None for the method's own.
        batch_size: pairs at once; None for the method's own.
        rank: of the changes that "lora" makes.
    """

    method: str = METHODS[0]
    heldout: float = 0.2
    seed: int = 0
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    rank: int = 8

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"no method is called {self.method!r}", hint=f"choose from {', '.join(METHODS)}")
        if not 0 < self.heldout < 1:
            raise UsageError(f"the held-out share lies between 0 and 1, got {self.heldout}")
        for name in ("epochs", "learning_rate", "batch_size", "rank"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0, got {value}")


@dataclass(frozen=True, slots=True)
class FineTuneReport:
    """What came of it.

    Attributes:
        folder: the model; ``--model FOLDER`` uses it.
        space: fingerprint of its space.
        base: fingerprint of the space that it came from.
        method: how it was trained.
        moved: whose vectors changed.
        trained: pairs that were trained on.
        heldout: pairs that were measured on.
        skipped: pairs that were left out, and why.
        comparison: what the held-out pairs found before and after.
        curve: loss and score of each epoch.
        seconds: how long it took.
    """

    folder: Path
    space: str
    base: str
    method: str
    moved: tuple[Modality, ...]
    trained: int
    heldout: int
    skipped: Skipped
    comparison: Comparison
    curve: Sequence[dict[str, Any]] = field(default_factory=tuple)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "space": self.space,
            "base": self.base,
            "method": self.method,
            "moved": [modality.value for modality in self.moved],
            "trained": self.trained,
            "heldout": self.heldout,
            "skipped": self.skipped.to_dict(),
            **self.comparison.to_dict(),
            "curve": list(self.curve),
            "seconds": round(self.seconds, 2),
        }

    def refuse_if_worse(self) -> None:
        """Raise when the model finds less than the one it came from.

        Raises:
            ModelWorse: it does.
        """
        if self.comparison.is_worse:
            before, after = self.comparison.before.score, self.comparison.after.score
            raise ModelWorse(
                f"the trained model finds less on the held-out pairs (mean reciprocal rank {after:.3f}, "
                f"before {before:.3f}); it lies in {self.folder} and is nobody's default",
                hint="give more pairs, or --force to keep it all the same",
            )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model to start from, and pairs that can be embedded with it.

    Attributes:
        settings: name the model.
        encoder: the model.
        load: opens files as it wants them.
        train: pairs to train on.
        heldout: pairs to measure on.
        rows: vectors of all sides in the model's space.
        skipped: what was left out.
    """

    settings: Settings
    encoder: Encoder
    load: Load
    train: tuple[Pair, ...]
    heldout: tuple[Pair, ...]
    rows: dict[Side, FloatArray]
    skipped: Skipped

    def rows_in(self, encoder: Encoder, pairs: Sequence[Pair]) -> dict[Side, FloatArray]:
        """The sides of pairs, embedded with another encoder."""
        sides = PairSet(tuple(pairs), Skipped()).sides()
        return embed_sides(sides, encoder, self.load)[0]


def finetune(
    pairs_file: Path | None,
    out: Path,
    *,
    library: Path | None = None,
    model: str | None = None,
    model_dir: Path | None = None,
    feedback: bool = False,
    options: FineTuneOptions | None = None,
    progress: Progress | None = None,
) -> FineTuneReport:
    """Fine-tune a model on pairs of things that belong together.

    Args:
        pairs_file: JSON lines (``searchkit.training.pairs``); None for feedback alone.
        out: the folder to make.
        library: whose settings, and whose feedback, to use.
        model: what to start from, when it is not the settings' model.
        model_dir: where its files lie.
        feedback: train on the likes and unlikes of the library's saved queries, too.
        options: how.
        progress: told the step, how much of it is done, and how much there is.

    Raises:
        UsageError: no or too few pairs, the folder exists, or the method does not fit the model.
        LibraryNotFound: there is no library to take feedback from.
    """
    options = options or FineTuneOptions()
    started_s = time.monotonic()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty", hint="name a new folder with --out")
    settings = load_settings(library or default_library(), {"model": model, "model_dir": model_dir})
    with ExitStack() as stack:
        prepared = _prepare(stack, settings, pairs_file, library, feedback, options, progress)
        before = retrieval(prepared.heldout, prepared.rows)
        if options.method == "projection":
            maps, curve = fit_projection(
                prepared.train, prepared.rows, _projection_options(options), progress=progress
            )
            after = retrieval(prepared.heldout, map_rows(maps, prepared.rows))
            comparison = Comparison(before, after)
            moved = trained_modalities(prepared.train)
            head = Head(
                base_model=settings.model,
                base_dir=settings.model_dir,
                base_space=prepared.encoder.space,
                maps=maps,
                dim=prepared.encoder.space.dim,
                report=comparison.to_dict(),
            )
            write_head(out, head)
        else:
            if feedback:
                raise UsageError("feedback trains projections only", hint="leave --method out")
            tuned = open_training("tune").tune(prepared, out, options, progress)
            comparison, curve, moved = tuned
        trained = open_encoder(str(out.absolute()))
        stack.callback(trained.close)
        return FineTuneReport(
            folder=out,
            space=trained.space.fingerprint,
            base=prepared.encoder.space.fingerprint,
            method=options.method,
            moved=moved,
            trained=len(prepared.train),
            heldout=len(prepared.heldout),
            skipped=prepared.skipped,
            comparison=comparison,
            curve=curve,
            seconds=time.monotonic() - started_s,
        )


def _projection_options(options: FineTuneOptions) -> ProjectionOptions:
    given = {name: getattr(options, name) for name in ("epochs", "learning_rate", "batch_size")}
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(ProjectionOptions(seed=options.seed), **chosen)


def _prepare(
    stack: ExitStack,
    settings: Settings,
    pairs_file: Path | None,
    library: Path | None,
    feedback: bool,
    options: FineTuneOptions,
    progress: Progress | None,
) -> Prepared:
    if pairs_file is None and not feedback:
        raise UsageError("there is nothing to train on", hint="give a file of pairs, or --feedback")
    pairs: list[Pair] = []
    skipped = Skipped()
    fetch = None
    if feedback:
        opened = open_library(
            library, create=False, read_only=True, model=settings.model, model_dir=settings.model_dir
        )
        stack.callback(opened.close)
        encoder, fetch = opened.encoder, opened.vector
        told = feedback_pairs(opened)
        pairs += told.pairs
        skipped = told.skipped
        if not pairs and pairs_file is None:
            raise UsageError(
                "the library has no feedback: no saved query has a like or an unlike",
                hint='searchkit query "words" --like ID --save NAME',
            )
    else:
        encoder = open_encoder(settings.model, settings.model_dir)
        stack.callback(encoder.close)
    decoding = decode_settings_for(encoder, settings)

    def load(path: Path, modality: Modality) -> Sequence[Sample]:
        return load_samples(path, modality, decoding)

    if pairs_file is not None:
        read = read_pairs(pairs_file, plugs=decoding.plugs)
        pairs += read.pairs
        skipped.reasons.update(read.skipped.reasons)
        skipped.examples.extend(read.skipped.examples)
    given = PairSet(tuple(pairs), skipped)
    rows, failed = embed_sides(given.sides(), encoder, load, fetch=fetch, progress=progress)
    usable = given.without(failed)
    train, heldout = split_pairs(usable.pairs, share=options.heldout, seed=options.seed)
    return Prepared(settings, encoder, load, train, heldout, rows, skipped)


def make_default(report: FineTuneReport, library: Path | None, *, force: bool = False) -> Path:
    """Have a library use the trained model from now on; its files are embedded by the next index run.

    Returns:
        The library's folder.

    Raises:
        ModelWorse: the model finds less than the one it came from, and ``force`` is not set.
        LibraryNotFound: there is no library.
    """
    if not force:
        report.refuse_if_worse()
    folder = (library or default_library()).expanduser().absolute()
    if not (folder / SETTINGS_FILE).is_file():
        raise LibraryNotFound(f"there is no library at {folder}", hint="searchkit index FOLDER makes one")
    save_settings(folder, replace(own_settings(folder), model=str(report.folder.absolute()), model_dir=None))
    return folder

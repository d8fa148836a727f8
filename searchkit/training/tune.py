"""The two ways to fine-tune a ONE-PEACE model itself: LoRA on the shared attention, or all of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from searchkit.encoders.one_peace import OnePeaceEncoder, load
from searchkit.errors import UsageError
from searchkit.modality import Modality
from searchkit.one_peace.branches import HEADS, SHARED, branch_of
from searchkit.one_peace.inputs import ModelInputs
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.weights import FolderWeights
from searchkit.training.contrastive import ContrastOptions, PairTrainer, Progress, ReadySides
from searchkit.training.heldout import Comparison, retrieval, split_pairs
from searchkit.training.lora import add_lora, merge_lora
from searchkit.training.model_files import write_changed
from searchkit.training.pairs import Pair

if TYPE_CHECKING:
    from searchkit.training.finetune import FineTuneOptions, Prepared

__all__ = ["base_weights", "branch_tensors", "choose_some", "tune"]

_RATES = {"lora": 1e-3, "full": 3e-4}
_FEWEST_TO_CHOOSE = 40


def tune(
    prepared: Prepared, out: Path, options: FineTuneOptions, progress: Progress | None = None
) -> tuple[Comparison, list[dict[str, Any]], tuple[Modality, ...]]:
    """Train and write the model.

    Returns:
        What was measured, the curve, and whose vectors changed.

    Raises:
        UsageError: the model is no ONE-PEACE model in a folder.
    """
    weights = base_weights(prepared.encoder, options.method)
    before = retrieval(prepared.heldout, prepared.rows)
    used = sorted({side.modality for pair in prepared.train for side in (pair.left, pair.right)})
    lazy = LazyModel(weights, device="cuda" if torch.cuda.is_available() else "cpu", few_bits=False)
    train, choosing = choose_some(prepared.train, options.seed)
    with lazy.using(*used) as model:
        names = weights.config.modalities
        if options.method == "lora":
            torch.manual_seed(options.seed)
            parameters = add_lora(model, options.rank)
        else:
            branches = {SHARED, HEADS, *used}
            parameters = {
                key: parameter
                for key, parameter in model.named_parameters()
                if branch_of(key, names) in branches and key != "logit_scale"
            }
        ready = ReadySides(ModelInputs(weights.config, weights.tokenizer), prepared.load)
        trainer = PairTrainer(model, ready, frozenset(used), parameters)
        curve = trainer.fit(train, choosing, contrast_options(options), progress)
        merge_lora(model)
        written = (SHARED,) if options.method == "lora" else (SHARED, *used)
        tensors = {branch: branch_tensors(model, branch, names) for branch in written}
    write_changed(weights.folder, out, tensors)
    trained = load(out)
    try:
        after = retrieval(prepared.heldout, prepared.rows_in(trained, prepared.heldout))
    finally:
        trained.close()
    # The shared attention is every modality's.
    return Comparison(before, after), curve, tuple(sorted(map(Modality.stored, names)))


def base_weights(encoder: object, method: str) -> FolderWeights:
    """The weights of a ONE-PEACE model that lies in a folder.

    Raises:
        UsageError: it is another model.
    """
    if isinstance(encoder, OnePeaceEncoder) and isinstance(encoder.model.source, FolderWeights):
        return encoder.model.source
    raise UsageError(
        f"{method} is for ONE-PEACE models in a folder",
        hint="for this model there is `searchkit train finetune --method projection`",
    )


def branch_tensors(model: nn.Module, branch: str, names: Sequence[str]) -> dict[str, Tensor]:
    """All parameters of a branch, by their published names."""
    return {key: value for key, value in model.named_parameters() if branch_of(key, names) == branch}


def choose_some(pairs: Sequence[Pair], seed: int) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Set some pairs aside to choose the best moment with, where there are enough."""
    if len({pair.right for pair in pairs if pair.match}) < _FEWEST_TO_CHOOSE:
        return tuple(pairs), ()
    return split_pairs(pairs, share=0.15, seed=seed + 1)


def contrast_options(options: FineTuneOptions) -> ContrastOptions:
    """A fine-tuning's options as those of a contrastive training."""
    return ContrastOptions(
        epochs=options.epochs or 10,
        batch_size=options.batch_size or 64,
        learning_rate=options.learning_rate or _RATES[options.method],
        seed=options.seed,
    )

"""Progressive alignment: a further modality joins a model, whose trunk and other modalities stay as they are.

The new modality gets an adapter, a feed-forward network a layer, a final norm and a projection; only these
train, against vectors that the frozen model gives the other sides of the pairs (ONE-PEACE, arXiv 2305.11172,
section 3.3, does so with sound; OneLLM, arXiv 2312.03700, with eight modalities one after the other).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from searchkit.config import default_library, load_settings
from searchkit.encoders import open_encoder
from searchkit.encoders.one_peace import load
from searchkit.errors import UsageError
from searchkit.loading import decode_settings_for, load_samples
from searchkit.modality import Modality, plug_of
from searchkit.one_peace.branches import branch_of
from searchkit.one_peace.build import build_model
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.inputs import ModelInputs
from searchkit.one_peace.lazy_model import LazyModel
from searchkit.one_peace.tokenizer import TextTokenizer
from searchkit.one_peace.weights import FolderWeights
from searchkit.training.contrastive import ContrastOptions, PairTrainer, Progress, ReadySides
from searchkit.training.fresh import start_values
from searchkit.training.heldout import Retrieval, retrieval, split_pairs
from searchkit.training.model_files import write_changed
from searchkit.training.pairs import PairSet, Skipped, read_pairs
from searchkit.training.sides import embed_sides
from searchkit.training.tune import base_weights, branch_tensors, choose_some
from searchkit.types import Sample

__all__ = ["AlignReport", "align", "extended_config"]


@dataclass(frozen=True, slots=True)
class AlignReport:
    """What came of it.

    Attributes:
        folder: the model with the new modality.
        modality: which it is.
        space: fingerprint of its space.
        trained: pairs that were trained on.
        heldout: pairs that were measured on.
        skipped: pairs that were left out, and why.
        parameters: how many numbers were trained.
        found: what the held-out pairs found.
        curve: loss and score over time.
        seconds: how long it took.
    """

    folder: Path
    modality: Modality
    space: str
    trained: int
    heldout: int
    skipped: Skipped
    parameters: int
    found: Retrieval
    curve: Sequence[dict[str, Any]]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "modality": self.modality.value,
            "space": self.space,
            "trained": self.trained,
            "heldout": self.heldout,
            "skipped": self.skipped.to_dict(),
            "parameters": self.parameters,
            "found": self.found.to_dict(),
            "curve": list(self.curve),
            "seconds": round(self.seconds, 2),
        }


class ExtendedWeights:
    """A model's weights, with those of a new branch that are not on disk yet."""

    def __init__(
        self, base: FolderWeights, config: ModelConfig, name: str, tensors: Mapping[str, Tensor]
    ) -> None:
        self.base = base
        self.config = config
        self.name = base.name
        self._new = name
        self._tensors = dict(tensors)

    def tokenizer(self) -> TextTokenizer:
        """The base model's tokenizer."""
        return self.base.tokenizer()

    def branch(self, name: str) -> dict[str, Tensor]:
        """A branch's tensors by parameter name."""
        return self._tensors if name == self._new else self.base.branch(name)


def extended_config(
    raw: Mapping[str, Any], name: str, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A model's configuration with one modality more.

    Args:
        raw: the configuration, as its folder has it.
        name: the modality.
        options: of its adapter, beside its plug's own.
    """
    config = ModelConfig.from_config(raw)
    side = config.task.patch_image_size // 16
    chosen = {**plug_of(name).options, **(options or {})}
    if "vision_encoder_type" in chosen:
        chosen.setdefault("bucket_size", side)
    head_type = "+".join((*config.modalities, name))
    encoder = {**raw["model"]["encoder"], f"{name}_adapter": chosen, f"use_{name}_moe": True}
    return {
        **raw,
        "head_type": head_type,
        "task": {**raw["task"], "head_type": head_type},
        "model": {**raw["model"], "encoder": encoder},
    }


def align(
    pairs_file: Path,
    out: Path,
    *,
    modality: str,
    library: Path | None = None,
    model: str | None = None,
    model_dir: Path | None = None,
    adapter: Mapping[str, Any] | None = None,
    heldout: float = 0.2,
    options: ContrastOptions | None = None,
    progress: Progress | None = None,
) -> AlignReport:
    """Add a modality to a ONE-PEACE model.

    Args:
        pairs_file: JSON lines; one side of each pair is of the new modality, the other of one that is known.
        out: the folder to make.
        modality: the new one; a plug must add it.
        library: whose settings to use; it need not exist.
        model: the model to add to: a ONE-PEACE model in a folder.
        model_dir: where its files lie.
        adapter: options of the adapter, in place of its plug's.
        heldout: share of the files that is only measured on.
        options: how to train.
        progress: told the step, how much of it is done, and how much there is.

    Raises:
        ModalityUnsupported: no plug adds that modality.
        UsageError: the model has it already or is no ONE-PEACE model, or there are too few pairs.
    """
    started_s = time.monotonic()
    options = options or ContrastOptions()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty", hint="name a new folder with --out")
    plug = plug_of(modality)
    settings = load_settings(library or default_library(), {"model": model, "model_dir": model_dir})
    with ExitStack() as stack:
        encoder = open_encoder(settings.model, settings.model_dir)
        stack.callback(encoder.close)
        base = base_weights(encoder, "align")
        if modality in base.config.modalities:
            raise UsageError(
                f"{base.name} embeds {modality} already", hint="searchkit train finetune goes on"
            )
        decoding = decode_settings_for(encoder, settings)

        def open_side(path: Path, kind: Modality) -> Sequence[Sample]:
            return load_samples(path, kind, decoding)

        raw = extended_config(base.folder.raw, modality, adapter)
        config = ModelConfig.from_config(raw)
        weights = ExtendedWeights(base, config, modality, _start_values(base, config, modality, options.seed))
        ready = ReadySides(ModelInputs(config, base.tokenizer), open_side)
        given = _of_modality(
            read_pairs(pairs_file, plugs=(*decoding.plugs, modality)), plug.modality, encoder.modalities
        )
        fresh = [side for side in given.sides() if side.modality == modality]
        others = [side for side in given.sides() if side.modality != modality]
        failed = embed_sides(others, encoder, open_side, progress=progress)[1]
        usable = given.without({**failed, **ready.check(fresh, progress)})
        encoder.close()
        train, held = split_pairs(usable.pairs, share=heldout, seed=options.seed)
        fitted, choosing = choose_some(train, options.seed)
        lazy = LazyModel(weights, device="cuda" if torch.cuda.is_available() else "cpu")
        used = {side.modality for pair in usable.pairs for side in (pair.left, pair.right)}
        with lazy.using(*sorted(used)) as network:
            parameters = {
                key: parameter
                for key, parameter in network.named_parameters()
                if branch_of(key, config.modalities) == modality
            }
            trainer = PairTrainer(network, ready, frozenset({modality}), parameters)
            curve = trainer.fit(fitted, choosing, options, progress)
            tensors = {modality: branch_tensors(network, modality, config.modalities)}
        write_changed(base.folder, out, tensors, config=raw)
        trained = load(out)
        stack.callback(trained.close)
        sides = PairSet(held, Skipped()).sides()
        found = retrieval(held, embed_sides(sides, trained, open_side)[0])
        return AlignReport(
            folder=out,
            modality=plug.modality,
            space=trained.space.fingerprint,
            trained=len(train),
            heldout=len(held),
            skipped=usable.skipped,
            parameters=sum(parameter.numel() for parameter in parameters.values()),
            found=found,
            curve=curve,
            seconds=time.monotonic() - started_s,
        )


def _of_modality(given: PairSet, new: Modality, known: frozenset[Modality]) -> PairSet:
    """The pairs of which one side is new and the other known."""
    kept = []
    for pair in given.pairs:
        kinds = {pair.left.modality, pair.right.modality}
        if new in kinds and (kinds - {new}) & known:
            kept.append(pair)
        else:
            given.skipped.add(
                f"it does not pair {new} with what the model embeds", f"{pair.left}, {pair.right}"
            )
    return PairSet(tuple(kept), given.skipped)


def _start_values(base: FolderWeights, config: ModelConfig, name: str, seed: int) -> dict[str, Tensor]:
    """Random values for the new branch; its feed-forward networks start as those of another modality."""
    torch.manual_seed(seed)
    like = next((other for other in ("image", "audio", "text") if other in base.config.modalities), "")
    known = base.branch(like)
    tensors: dict[str, Tensor] = {}
    for key, parameter in build_model(config, device="meta").named_parameters():
        if branch_of(key, config.modalities) != name:
            continue
        source = key.replace(f".{name}_", f".{like}_") if ".fusion_model." in key else ""
        if source in known and known[source].shape == parameter.shape:
            tensors[key] = known[source].float().clone()
        else:
            tensors[key] = torch.empty(parameter.shape)
            start_values(key, tensors[key])
    return tensors

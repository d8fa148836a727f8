"""The pretraining loop: one stage, on one process or several, that goes on to the bit where it was stopped.

Every step's chance (masks, order, augmentation, dropped paths) follows from seed, step and rank alone, so a
checkpoint needs no state of a random generator.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from searchkit.errors import UsageError
from searchkit.one_peace.build import build_model
from searchkit.one_peace.config import CriterionConfig, ModelConfig, TaskConfig, parse_conv_spec
from searchkit.one_peace.pretrain import PretrainModel
from searchkit.one_peace.pretrain_losses import PretrainLoss, pretrain_loss
from searchkit.one_peace.ranks import rank, total, world_size
from searchkit.one_peace.tokenizer import TextTokenizer, tokenizer_json
from searchkit.one_peace.write import write_model_folder
from searchkit.training.pretrain.collate import MaskShares, collate
from searchkit.training.pretrain.optimizer import MovingAverage, cosine_rate, parameter_groups
from searchkit.training.pretrain.pairs import open_pairs
from searchkit.training.pretrain.runs import RunFolder, RunLog
from searchkit.training.pretrain.samples import SampleReader
from searchkit.training.pretrain.settings import PretrainSettings, pretrain_sections, retrieval_sections
from searchkit.training.pretrain.start import fill_from, read_start
from searchkit.training.pretrain.stream import PairStream

__all__ = ["Objective", "Pretraining", "leads", "pretrain"]

Progress = Callable[[int, int, Mapping[str, float]], None]


class Objective(nn.Module):
    """A model with its losses as one module, so that DistributedDataParallel sees one forward pass."""

    def __init__(self, model: PretrainModel, criterion: CriterionConfig) -> None:
        super().__init__()
        self.model = model
        self.criterion = criterion

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, PretrainLoss]:
        """This rank's loss, whose mean over ranks is the joined batch's, and its parts."""
        result = pretrain_loss(self.model, self.criterion, inputs)
        return result.total, result


@dataclass
class Pretraining:
    """Everything one process of a run holds between steps."""

    settings: PretrainSettings
    model: PretrainModel
    objective: nn.Module
    optimizer: torch.optim.AdamW
    average: MovingAverage | None
    stream: PairStream
    task: TaskConfig
    shares: MaskShares
    device: torch.device
    step: int = 0

    def train_step(self) -> dict[str, float]:
        """One step; what the log shows of it, of this rank's share."""
        settings = self.settings
        rate = cosine_rate(
            self.step,
            steps=settings.steps,
            warmup_steps=settings.warmup_steps,
            peak=settings.learning_rate,
            floor=settings.floor_rate,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        loss, result = self.objective(self._inputs())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for p in self.model.parameters() if p.grad is not None]
        longest = settings.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(trained, longest, error_if_nonfinite=True)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model)
        self.step += 1
        return self._row(rate, norm, result)

    def _inputs(self) -> dict[str, Tensor]:
        batch = self.stream.next_batch()
        seed = (self.settings.seed, self.step, rank())
        chance = np.random.default_rng(seed)
        torch.manual_seed(int(chance.integers(2**62)))
        audio = self.model.config.encoder.adapters.get("audio", {})
        spec = parse_conv_spec(audio.get("feature_encoder_spec"))
        modality = self.settings.modality
        inputs = collate(batch.samples, modality, self.task, spec, self.shares, chance)
        return {name: value.to(self.device) for name, value in inputs.items()}

    def _row(self, rate: float, norm: Tensor, result: PretrainLoss) -> dict[str, float]:
        names = ["skipped", "loss", *result.parts, *result.correct]
        # Every rank counts all entries that were no pair, and its own share of what does not decode.
        skipped = torch.tensor(len(self.stream.skipped) - self.stream.entries_skipped, device=self.device)
        values = [skipped, result.total, *result.parts.values(), *result.correct.values()]
        means = total(torch.stack([value.detach().float() for value in values])) / world_size()
        row = dict(zip(names, means.tolist(), strict=True))
        row["skipped"] = row["skipped"] * world_size() + self.stream.entries_skipped
        rows = self.settings.batch_size / world_size()
        for name in result.correct:
            row[name.replace("_ncorrect", "_accuracy")] = row.pop(name) / rows
        scale = float(self.model.logit_scale.detach().exp())
        return {"rate": rate, "gradient_norm": float(norm), "logit_scale": scale, **row}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; every rank has to ask for it."""
        streams: list[Any] = [self.stream.state()]
        if world_size() > 1:
            streams = [None] * world_size()
            dist.all_gather_object(streams, self.stream.state())
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state() if self.average else None,
            "streams": streams,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; the stream is made at its position."""
        self.step = int(state["step"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None and state["average"] is not None:
            self.average.load(state["average"])


def leads() -> bool:
    """Whether this process is the first of those that torchrun started; it alone writes and reports."""
    return os.environ.get("RANK", "0") == "0"


def pretrain(
    run: Path,
    sources: Sequence[Path],
    settings: PretrainSettings,
    *,
    start: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train one stage and write the model, or go on with a run that was stopped.

    Under torchrun every process calls this; the batch is shared by them.

    Args:
        run: the run's folder, with log.csv, checkpoint.pt and in the end model/.
        sources: manifests, shards, or folders of them.
        settings: what to do.
        start: a run or a converted model to take weights from; the audio stage needs one.
        progress: called on the first process after every step, with its number, their count, and what the log
            shows of it.

    Returns:
        The model's folder, which `--model one-peace --model-dir` takes.

    Raises:
        UsageError: the settings, the run or the sources do not fit together.
        CheckpointError: a checkpoint or the start cannot be read.
        DiskFull: no space is left; the checkpoint before stays.
    """
    with _processes():
        folder = RunFolder(run)
        described = {
            "start": str(start.resolve()) if start else None,
            "sources": [str(source.resolve()) for source in sources],
            "ranks": world_size(),
            **settings.to_dict(),
        }
        if rank() == 0:
            folder.begin(described)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        return _run(folder, sources, settings, start, progress or (lambda step, steps, row: None))


def _run(
    folder: RunFolder,
    sources: Sequence[Path],
    settings: PretrainSettings,
    start: Path | None,
    progress: Progress,
) -> Path:
    sections = pretrain_sections(settings)
    serialised, dictionary_size = tokenizer_json(most_merges=sections["most_merges"])
    config = ModelConfig.from_config({**sections, "dictionary_size": dictionary_size})
    begun = read_start(start) if start else None
    if begun is None and settings.modality == "audio":
        raise UsageError("the audio stage starts from an image-text run", hint="name one with --from RUN")
    if begun is not None and begun.tokenizer != serialised:
        raise UsageError(f"{start} was trained with another tokenizer", hint="use the same preset")
    state = folder.load()
    training = _prepare(settings, sections, config, serialised, sources, state)
    if begun is not None and state is None:
        fill_from(training.model, begun, str(start))
        training.average = _average(settings, training.model)
    if state is not None:
        training.load(state)
    if rank() == 0:
        _loop(training, folder, progress)
    else:
        _loop(training, None, progress)
    training.stream.close()
    weights = training.average.averaged(training.model) if training.average else training.model.state_dict()
    if begun is not None:
        weights = {**begun.weights, **weights}
    if rank() == 0:
        kept = {key: value for key, value in weights.items() if _is_retrieval(key)}
        modalities = tuple(n for n in ("text", "image", "audio") if f"{n}_proj.weight" in kept)
        described = retrieval_sections(sections, modalities, dictionary_size)
        source = f"searchkit train pretrain, {training.step} steps"
        write_model_folder(folder.model_path, described, kept, serialised, source=source)
    return folder.model_path


def _prepare(
    settings: PretrainSettings,
    sections: Mapping[str, Any],
    config: ModelConfig,
    serialised: str,
    sources: Sequence[Path],
    state: Mapping[str, Any] | None,
) -> Pretraining:
    if settings.batch_size % world_size():
        raise UsageError(f"a batch of {settings.batch_size} cannot be shared by {world_size()} processes")
    device = torch.device("cuda", rank() % torch.cuda.device_count()) if torch.cuda.is_available() else None
    device = device or torch.device("cpu")
    torch.manual_seed(settings.seed)
    model = build_model(config)
    assert isinstance(model, PretrainModel)
    model.to(device).train()
    criterion = CriterionConfig.from_mapping(sections["criterion"])
    objective: nn.Module = (
        _Autocast(Objective(model, criterion), device) if settings.bf16 else Objective(model, criterion)
    )
    if world_size() > 1:
        objective = DistributedDataParallel(objective, find_unused_parameters=True)
    groups = parameter_groups(
        model,
        layers=config.encoder.layers,
        weight_decay=settings.weight_decay,
        layer_decay=settings.layer_decay,
    )
    betas = (settings.beta_1, settings.beta_2)
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=1e-6)
    tokenizer = TextTokenizer(
        serialised, dictionary_size=config.dictionary_size, max_tokens=config.task.max_src_length
    )
    reader = SampleReader(config.task, tokenizer, crop_scale=settings.crop_scale, flip=settings.flip)
    own: Mapping[str, Any] = state["streams"][rank()] if state else {"epoch": 0, "taken": 0}
    stream = PairStream(
        open_pairs(sources, settings.modality),
        reader,
        batch_size=settings.batch_size // world_size(),
        seed=settings.seed,
        rank=rank(),
        ranks=world_size(),
        workers=settings.workers,
        position=PairStream.position_of(own),
    )
    stream.skipped.update(own.get("skipped", {}))
    shares = MaskShares.from_mapping(sections["task"])
    average = _average(settings, model)
    return Pretraining(settings, model, objective, optimizer, average, stream, config.task, shares, device)


def _average(settings: PretrainSettings, model: PretrainModel) -> MovingAverage | None:
    return MovingAverage(model, settings.ema_decay) if settings.ema_decay else None


def _loop(training: Pretraining, folder: RunFolder | None, progress: Progress) -> None:
    settings = training.settings
    log = RunLog(folder.log_path, training.step) if folder else None
    before_s, began = log.seconds if log else 0.0, time.monotonic()
    while training.step < settings.steps:
        row = training.train_step()
        last = training.step == settings.steps
        if folder is not None:
            progress(training.step, settings.steps, row)
        if log is not None and (last or training.step % settings.log_every == 0):
            seconds = before_s + time.monotonic() - began
            pairs = training.step * settings.batch_size
            log.add({"step": training.step, "seconds": seconds, "pairs": pairs, **row})
        if last or training.step % settings.save_every == 0:
            state = training.state()
            if folder is not None and log is not None:
                log.write()
                folder.save(state)


class _Autocast(nn.Module):
    """Runs a module's passes in bfloat16 where that is safe."""

    def __init__(self, inner: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.inner = inner
        self.kind = device.type

    def forward(self, inputs: Mapping[str, Tensor]) -> Any:
        """The inner module's output."""
        with torch.autocast(self.kind, torch.bfloat16):
            return self.inner(inputs)


def _is_retrieval(key: str) -> bool:
    """Whether a retrieval model has a pretraining model's parameter."""
    return (
        key.startswith("encoder_wrapper.") or key.partition(".")[0].endswith("_proj") or key == "logit_scale"
    )


class _processes:
    """The process group of torchrun, for as long as a run lasts; nothing without torchrun."""

    def __enter__(self) -> None:
        self.own = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized()
        if self.own:
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")

    def __exit__(self, *error: object) -> None:
        if self.own:
            dist.destroy_process_group()

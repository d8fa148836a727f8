"""Fixtures of pretraining models: the objective, its parts, every pass and every gradient."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.compare import EMBEDDING, GRADIENT, INTERMEDIATE, LOGIT, Check, compare, load_npz
from golden.models import check_buckets, load_model, tensors
from golden.trace import check_trace, traced
from searchkit.one_peace.config import CriterionConfig
from searchkit.one_peace.pretrain import PretrainModel
from searchkit.one_peace.pretrain_losses import pretrain_loss

PAIRS = ("vl", "al")


def check_folder(folder: Path) -> Iterator[Check]:
    config = json.loads((folder / "config.json").read_text())
    model: PretrainModel = load_model(folder)
    inputs = tensors(load_npz(folder / "inputs.npz"))
    expected = load_npz(folder / "expected.npz")
    result = pretrain_loss(model, CriterionConfig.from_mapping(config["criterion"]), inputs)
    result.total.backward()
    yield from check_buckets(folder, model)
    yield from _check_outputs(result, model, inputs, expected)
    yield from _check_passes(model, inputs, expected, result.students)
    yield from _check_gradients(folder, model, config)


def _check_outputs(result: Any, model: Any, inputs: Any, expected: dict[str, np.ndarray]) -> Iterator[Check]:
    size = float(len(inputs["src_tokens"]))
    log: dict[str, Any] = {"loss": result.total, **result.parts, **result.correct}
    log |= {"nsentences": size, "sample_size": 1.0, "logit_scale_exp": model.logit_scale.exp()}
    padding = {name: ~_padding(model, name, inputs) for name in model.config.modalities}
    for key, recorded in expected.items():
        words = key.split(".")
        if key == "loss" or words[0] == "log":
            actual = log.get(words[-1], float("nan"))
            yield compare(key, actual, recorded, LOGIT, scaled=True)
        elif words[0] == "teacher" and words[2] == "logits":
            yield compare(key, result.logits[words[1]], recorded, EMBEDDING)
        elif words[0] in ("teacher", "student") and len(words) == 3:
            name = words[2].removesuffix("features").rstrip("_") or words[1]
            source = result.teachers if words[0] == "teacher" else result.students
            valid = padding[name].numpy()
            yield compare(key, source[words[1], name], recorded, INTERMEDIATE, valid=valid, scaled=True)


def _padding(model: PretrainModel, name: str, inputs: Any) -> torch.Tensor:
    if name == "audio":
        return inputs["audio_padding_masks"].bool()
    tokens = inputs["src_tokens"] if name == "text" else None
    if tokens is None:
        length = model.encoder_wrapper.image_adapter.side**2 + 1
        return torch.zeros(len(inputs["src_images"]), length, dtype=torch.bool)
    return torch.nn.functional.pad(tokens.eq(1), (1, 0), value=False)


def _check_passes(
    model: PretrainModel, inputs: Any, expected: dict[str, np.ndarray], students: Any
) -> Iterator[Check]:
    """Run every masked pass again with the intermediates recorded."""
    for masked_pass in sorted({masked_pass for masked_pass, _ in students}):
        names = model.config.modalities if masked_pass in PAIRS else (masked_pass,)
        prefix = f"{masked_pass}_" if masked_pass in PAIRS else ""
        given = {name: {f"src_{'tokens' if name == 'text' else name + 's'}": None} for name in names}
        for name, values in given.items():
            given[name] = {key: inputs[key] for key in values}
            if name == "audio":
                given[name]["audio_padding_masks"] = inputs["audio_padding_masks"]
        ids = {name: inputs[f"{prefix}{name}_preserve_ids"] for name in names}
        encoder_trace, decoder_trace = traced(model.encoder_wrapper), traced(model.decoder_wrapper)
        with torch.no_grad(), encoder_trace as encoder, decoder_trace as decoder:
            model.predict_masked(given, ids)
        for part, trace in (("enc", encoder), ("dec", decoder)):
            label = f"student.{masked_pass}.{part}."
            wanted = {k.removeprefix(label): v for k, v in expected.items() if k.startswith(label)}
            yield from check_trace(label, trace, wanted)


def _check_gradients(folder: Path, model: PretrainModel, config: Any) -> Iterator[Check]:
    recorded = load_npz(folder / "grads.npz")
    parameters = dict(model.named_parameters())
    for name, gradient in recorded.items():
        found = parameters[name].grad if name in parameters else None
        if found is None:
            yield Check(f"gradient.{name}", float("inf"), GRADIENT, "no gradient")
        else:
            yield compare(f"gradient.{name}", found, gradient, GRADIENT, scaled=True)
    with_gradient = {name for name, p in parameters.items() if p.grad is not None and p.grad.any()}
    extra = sorted(with_gradient - recorded.keys())
    yield Check(
        "parameters with a gradient they should not have", float(len(extra)), 0.0, ", ".join(extra[:3])
    )
    frozen = {name for name, p in parameters.items() if not p.requires_grad}
    different = sorted(frozen ^ set(config.get("frozen", [])))
    yield Check("frozen parameters", float(len(different)), 0.0, ", ".join(different[:3]))

"""Fixtures of retrieval and classification models: weights, inputs, recorded outputs and intermediates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from golden.compare import BFLOAT16_COSINE, EMBEDDING, LOGIT, PIXEL_COORDINATE, Check, compare, load_npz
from golden.trace import check_trace, traced
from searchkit.one_peace import losses
from searchkit.one_peace.build import build_model, load_weights
from searchkit.one_peace.classify import ClassifyModel
from searchkit.one_peace.config import ModelConfig
from searchkit.one_peace.retrieval import RetrievalModel


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def by_case(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Group "case.rest" names by case."""
    cases: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        case, _, rest = name.partition(".")
        if rest:
            cases.setdefault(case, {})[rest] = array
    return cases


def modality_of(inputs: Mapping[str, Any]) -> str:
    """The modality whose adapter takes these arguments, such as `src_tokens`."""
    known = {"src_tokens": "text", "src_images": "image", "src_audios": "audio"}
    return next(known[name] for name in inputs if name in known)


def load_model(folder: Path, **changes: Any) -> Any:
    """Build the model of a fixture folder and load its weights strictly."""
    config = json.loads((folder / "config.json").read_text())
    config["model"] = {**config["model"], **changes}
    model = build_model(ModelConfig.from_config(config))
    load_weights(model, load_file(folder / "weights.safetensors"))
    return model.eval()


def check_buckets(folder: Path, model: Any) -> Iterator[Check]:
    """The rows of the bias tables, against the buffers that the reference stores."""
    for name, recorded in load_npz(folder / "buffers_rp_bucket.npz").items():
        wrapper, adapter, _ = name.split(".")
        found = model.get_submodule(f"{wrapper}.{adapter}").bucket(recorded.shape[0])
        yield compare(f"buffer.{name}", found.numpy(), recorded, 0.0)


def check_retrieval(folder: Path) -> Iterator[Check]:
    model: RetrievalModel = load_model(folder)
    yield from check_buckets(folder, model)
    expected = load_npz(folder / "expected.npz")
    if "logit_scale_exp" in expected:
        scale = model.logit_scale.exp()
        yield compare("logit_scale_exp", scale, expected["logit_scale_exp"], LOGIT, scaled=True)
    cases = by_case(load_npz(folder / "inputs.npz"))
    recorded = by_case(expected)
    with torch.inference_mode():
        for case, inputs in cases.items():
            with traced(model.encoder_wrapper) as trace:
                embedding = model(modality_of(inputs), **tensors(inputs))
            wanted = dict(recorded.get(case, {}))
            if "embedding" in wanted:
                yield compare(f"{case}.embedding", embedding, wanted.pop("embedding"), EMBEDDING)
            yield from check_trace(f"{case}.", trace, wanted)
        yield from _check_bfloat16(folder, model, cases, recorded)


def _check_bfloat16(folder: Path, model: RetrievalModel, cases: Any, recorded: Any) -> Iterator[Check]:
    """In bfloat16 an embedding keeps its direction; the recorded bfloat16 one is held to the same measure."""
    low = by_case(load_npz(folder / "expected_bf16.npz"))
    if not low:
        return
    model.bfloat16()
    for case, arrays in low.items():
        inputs = {
            name: t.bfloat16() if t.is_floating_point() else t for name, t in tensors(cases[case]).items()
        }
        found = model(modality_of(inputs), **inputs).float().numpy()
        error = max(1 - _cosine(found, recorded[case]["embedding"]), 1 - _cosine(found, arrays["embedding"]))
        yield Check(f"{case}.embedding bfloat16, 1 - cosine", error, BFLOAT16_COSINE)


def _cosine(left: np.ndarray, right: np.ndarray) -> float:
    a, b = left.astype(np.float64), right.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def check_classify(folder: Path) -> Iterator[Check]:
    expected = load_npz(folder / "expected.npz")
    inputs = tensors(load_npz(folder / "inputs.npz"))
    variants = sorted({name.partition(".")[0] for name in expected if name.startswith("use_image_features_")})
    shared = {k: v for k, v in expected.items() if not k.startswith("use_image_features_")}
    for variant in variants or [""]:
        changes = {"use_image_features": variant.endswith("true")} if variant else {}
        model: ClassifyModel = load_model(folder, **changes)
        own = {k.removeprefix(f"{variant}."): v for k, v in expected.items() if k.startswith(f"{variant}.")}
        with torch.inference_mode():
            prefix = f"{variant}." if variant else ""
            yield from _check_classify_pass(model, inputs, own if variant else shared, prefix)
            if variant:
                encoder = {k: v for k, v in shared.items() if k.startswith("encoder.")}
                yield from _check_classify_pass(model, inputs, encoder, "")
    yield from check_buckets(folder, model)
    yield from _check_box_loss(shared)


def _check_classify_pass(
    model: ClassifyModel, inputs: dict[str, Tensor], expected: dict[str, np.ndarray], prefix: str
) -> Iterator[Check]:
    given = {k: v for k, v in inputs.items() if k.startswith(("src_", "audio_padding"))}
    first = {k: v for k, v in given.items() if k != "src_images_2"}
    with traced(model.encoder_wrapper) as trace:
        encoded = model.encode(**first)
    head = model.classify_head
    found: dict[str, Any] = {"logits": model(**given)}
    if head.attn_pooling_func is not None:
        name = model.pooled_modality
        x, padding = encoded.of(name)[:, 1:], encoded.mask_of(name)[:, 1:]
        found["attn_pooling.out"] = head.attn_pooling_func(x, padding)
    features = [model.features(encoded)]
    if "src_images_2" in given:
        second = model.encode(**{**first, "src_images": given["src_images_2"]}, is_second_image=True)
        features.append(model.features(second))
    found["classifier.in"] = torch.cat(features, dim=1)
    found["sigmoid"] = found["logits"].sigmoid()
    if "image_widths" in inputs:
        sizes = torch.stack([inputs["image_widths"], inputs["image_heights"]], dim=1).repeat(1, 2)
        found["coords"] = found["sigmoid"] * sizes
    found |= _metrics(model, given, found["logits"], inputs.get("target"), expected)
    encoder = {k.removeprefix("encoder."): v for k, v in expected.items() if k.startswith("encoder.")}
    yield from check_trace(f"{prefix}encoder.", trace, encoder)
    for key, recorded in expected.items():
        if key.startswith(("encoder.", "criterion.")):
            continue
        if key not in found:
            yield Check(f"{prefix}{key}", float("inf"), LOGIT, "not produced")
            continue
        tolerance = PIXEL_COORDINATE if key == "coords" else LOGIT
        yield compare(f"{prefix}{key}", found[key], recorded, tolerance, scaled=key != "coords")


def _metrics(
    model: ClassifyModel,
    given: dict[str, Tensor],
    logits: Tensor,
    target: Tensor | None,
    expected: Mapping[str, np.ndarray],
) -> dict[str, Tensor]:
    """The recorded losses and counts that fit this model's target."""
    if target is None:
        return {}
    if "refcoco_criterion_loss" in expected:
        return {"refcoco_criterion_loss": losses.box_loss(logits, target)}
    if "hinge_loss" in expected:
        # The texts are the choices for the first sounds: each sound is repeated once a choice.
        choices = len(given["src_tokens"]) // len(target)
        sounds = {k: v[: len(target)].repeat_interleave(choices, 0) for k, v in given.items() if "audio" in k}
        scores = model(**{**given, **sounds}).view(len(target), choices)
        return {
            "hinge_loss": losses.choice_loss(scores, target),
            "hinge_n_correct": losses.count_correct(scores, target),
        }
    counted = {"n_correct": losses.count_correct(logits, target)}
    if target.dim() == 2:
        return counted | {"classify_criterion_loss": losses.multi_label_loss(logits, target)}
    prefix = "classify_criterion_loss"
    for name in expected:
        if name.startswith(prefix):
            smoothing = float(name.removeprefix(prefix).removeprefix("_ls") or 0)
            counted[name] = losses.class_loss(logits, target, label_smoothing=smoothing)
    return counted


def _check_box_loss(expected: dict[str, np.ndarray]) -> Iterator[Check]:
    names = sorted(k.removesuffix("_logits") for k in expected if k.endswith("_logits"))
    for name in names:
        logits, target = (torch.from_numpy(expected[f"{name}_{part}"]) for part in ("logits", "target"))
        loss = losses.box_loss(logits, target)
        yield compare(f"{name}_loss", loss, expected[f"{name}_loss"], LOGIT, scaled=True)

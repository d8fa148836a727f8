"""Collects the intermediate tensors of a model's passes under the names that the fixtures use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn

from golden.compare import INTERMEDIATE, Check, compare
from searchkit.one_peace.adapter import Embedded
from searchkit.one_peace.wrapper import EncoderWrapper

Trace = dict[str, Any]


@contextmanager
def traced(wrapper: EncoderWrapper) -> Iterator[Trace]:
    """Record what adapters, layers and final norms give during one pass."""
    trace: Trace = {}
    handles = []

    def watch(module: nn.Module, name: str) -> None:
        handles.append(module.register_forward_hook(lambda _m, _i, out: trace.__setitem__(name, out)))

    for modality in wrapper.modalities:
        watch(wrapper.get_submodule(f"{modality}_adapter"), f"adapter.{modality}")
        for number, layer in enumerate(wrapper.fusion_model.layers):
            watch(layer.get_submodule(f"{modality}_ffn"), f"layer{number}.{modality}_ffn")
    for number, layer in enumerate(wrapper.fusion_model.layers):
        watch(layer, f"layer{number}.out")
        watch(layer.self_attn, f"layer{number}.self_attn")
    watch(wrapper.fusion_model, "trunk")
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()
    for name, out in list(trace.items()):
        if isinstance(out, Embedded):
            trace[f"{name}.x"], trace[f"{name}.padding_mask"] = out.x, out.padding_mask
            for table in range(out.tables):
                trace[f"{name}.attn_bias.{table}"] = out.bias(table)
    if "trunk" in trace:
        trace["final_norm.out"], trace["padding_mask"] = trace["trunk"].x, trace["trunk"].padding_mask


def check_trace(label: str, trace: Trace, expected: dict[str, np.ndarray]) -> Iterator[Check]:
    """Compare every recorded intermediate; `expected` is keyed as the trace is."""
    for key, recorded in expected.items():
        name = key.removesuffix("[0]")
        if name not in trace:
            yield Check(f"{label}{key}", float("inf"), INTERMEDIATE, "not produced")
            continue
        actual: Tensor = trace[name]
        if key.endswith("[0]"):
            actual = actual[:1]
        yield compare(
            f"{label}{key}", actual, recorded, INTERMEDIATE, valid=_valid(name, trace, recorded), scaled=True
        )


def _valid(name: str, trace: Trace, recorded: np.ndarray) -> np.ndarray | None:
    """Positions that are no padding: those of the adapter, the feed-forward network or the whole sequence."""
    if name.endswith("padding_mask") or "attn_bias" in name:
        return None
    mask: Tensor = trace["padding_mask"]
    if name.startswith("adapter."):
        mask = trace[name.removesuffix(".x") + ".padding_mask"]
    elif name.endswith("_ffn"):
        mask = trace["trunk"].mask_of(name.split(".")[1].removesuffix("_ffn"))
    return (~mask).cpu().numpy() if tuple(mask.shape) == recorded.shape[:2] else None

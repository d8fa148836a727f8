"""EfficientNet-Lite0 (Tan and Le, 2019; Apache-2.0) from PyTorch weights to ONNX, batch norms folded in."""

from pathlib import Path

import numpy as np
import torch

from .arrays import Array
from .graph import Graph, value_info

# (repeats, kernel, first stride, expansion, output channels) of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
BATCH_NORM_EPSILON = 1e-3


def convert_image_part(weights: Path, target: Path) -> None:
    """Write the classifier: pixels (N, 3, H, W), (x - 127) / 128, to features (N, 1280), logits (N, 1000)."""
    state = {k: v.numpy() for k, v in torch.load(weights, map_location="cpu", weights_only=True).items()}
    graph = Graph("efficientnet-lite0")
    x = _conv(graph, state, "pixels", "_conv_stem", "_bn0", stride=2)
    x = _relu6(graph, x)
    channels, block = 32, 0
    for repeats, _kernel, first_stride, expansion, out_channels in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            name, skip = f"_blocks.{block}", x
            if expansion != 1:
                x = _relu6(graph, _conv(graph, state, x, f"{name}._expand_conv", f"{name}._bn0"))
            groups = channels * expansion
            x = _conv(
                graph, state, x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, groups=groups
            )
            x = _conv(graph, state, _relu6(graph, x), f"{name}._project_conv", f"{name}._bn2")
            if stride == 1 and channels == out_channels:
                x = graph.op("Add", x, skip)
            channels, block = out_channels, block + 1
    x = _relu6(graph, _conv(graph, state, x, "_conv_head", "_bn1"))
    x = graph.op("Flatten", graph.op("GlobalAveragePool", x), output="features")
    graph.op(
        "Gemm", x, graph.half(state["_fc.weight"]), graph.half(state["_fc.bias"]), output="logits", transB=1
    )
    graph.write(
        target,
        [value_info("pixels", ["n", 3, "h", "w"])],
        [value_info("features", ["n", 1280]), value_info("logits", ["n", 1000])],
    )


def _conv(
    graph: Graph, state: dict[str, Array], x: str, conv: str, norm: str, stride: int = 1, groups: int = 1
) -> str:
    weight = state[f"{conv}.weight"].astype(np.float64)
    gain = state[f"{norm}.weight"] / np.sqrt(
        state[f"{norm}.running_var"].astype(np.float64) + BATCH_NORM_EPSILON
    )
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    weight = (weight * gain[:, None, None, None]).astype(np.float32)
    return graph.op(
        "Conv",
        x,
        graph.half(weight),
        graph.constant(bias.astype(np.float32)),
        auto_pad="SAME_UPPER",
        kernel_shape=list(weight.shape[2:]),
        strides=[stride, stride],
        group=groups,
    )


def _relu6(graph: Graph, x: str) -> str:
    low, high = graph.constant(np.float32(0)), graph.constant(np.float32(6))
    return graph.op("Clip", x, low, high)

"""A thin builder over onnx.helper: names tensors, stores weights as fp16 or int8; knows no model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .arrays import Array

OPSET = 17
IR_VERSION = 8


class Graph:
    """Collects nodes and weights of one ONNX graph; methods return the name of the tensor they made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node."""
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Array | np.generic) -> str:
        """Add a weight as it is."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def half(self, value: Array) -> str:
        """A float32 weight stored in two bytes; the runtime casts it once when the session is made."""
        return self.op("Cast", self.constant(value.astype(np.float16)), to=TensorProto.FLOAT)

    def int8(self, value: Array) -> str:
        """A (n, m) float32 weight stored in one byte with one scale per column, cast back once."""
        codes, scale = quantise(value, axis=0)
        return self.op(
            "Mul", self.op("Cast", self.constant(codes), to=TensorProto.FLOAT), self.constant(scale)
        )

    def write(
        self, path: Path, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> None:
        """Check the graph and write it to a file."""
        graph = helper.make_graph(self.nodes, self.name, list(inputs), list(outputs), self.weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


def quantise(value: Array, axis: int) -> tuple[Array, Array]:
    """Symmetric int8 codes and the float32 scale that undoes them, one scale per slice along `axis`."""
    scale = np.abs(value).max(axis=axis, keepdims=True).astype(np.float32) / 127
    scale = np.maximum(scale, np.float32(1e-12))
    return np.round(value / scale).astype(np.int8), scale


def value_info(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))

"""YAMNet (Plakal and Ellis, 2020; Apache-2.0): the float model out of a quantise-dequantise ONNX graph."""

import csv
import zipfile
from pathlib import Path

import onnx
from onnx import numpy_helper

from .graph import Graph, value_info


def convert_sound_part(source: Path, target: Path) -> None:
    """Write the classifier: log-mel patches (N, 1, 96, 64) to features (N, 1024) and logits (N, 521)."""
    model = onnx.load(str(source))
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    graph = Graph("yamnet")
    name_of = {"audio": "patches"}
    for node in model.graph.node:
        inputs = [name_of.get(i, i) for i in node.input]
        output = ""
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            output = inputs[0]
        elif node.op_type == "Conv":
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            weight, bias = graph.half(weights[inputs[1]]), graph.constant(weights[inputs[2]])
            output = graph.op("Conv", inputs[0], weight, bias, **attributes)
        elif node.op_type == "Reshape":
            output = graph.op("Flatten", inputs[0], output="features")
        elif node.op_type == "Gemm":
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            weight, bias = graph.half(weights[inputs[1]]), graph.constant(weights[inputs[2]])
            output = graph.op("Gemm", inputs[0], weight, bias, output="logits", **attributes)
        else:
            output = graph.op(node.op_type, *inputs)
        name_of[node.output[0]] = output
    graph.write(
        target,
        [value_info("patches", ["n", 1, 96, 64])],
        [value_info("features", ["n", 1024]), value_info("logits", ["n", 521])],
    )


def unzip_sound_part(archive: Path, target: Path) -> Path:
    """Unpack the graph with its weights; returns the path of the graph."""
    with zipfile.ZipFile(archive) as unpacked:
        unpacked.extractall(target)
    return next(target.rglob("*.onnx"))


def audioset_names(class_map: Path) -> list[str]:
    """The 521 display names of the classes, in the order of the logits."""
    with class_map.open(newline="", encoding="utf-8") as rows:
        return [row["display_name"] for row in csv.DictReader(rows)]

"""all-MiniLM-L6-v2 (Apache-2.0) to ONNX: int8 weights, float32 arithmetic, one text a run."""

from pathlib import Path

import numpy as np
from onnx import TensorProto
from safetensors.numpy import load_file

from .arrays import Array
from .graph import Graph, quantise, value_info

LAYERS, HEADS, HEAD_DIM, DIM = 6, 12, 32, 384
LAYER_NORM_EPSILON = 1e-12


def convert_text_part(weights: Path, target: Path) -> None:
    """Write the encoder: token ids (1, L) of one text, without padding, to its unit vector (1, 384).

    Weights only are quantised: activations stay float32, so that nothing depends on the range of a batch.
    """
    state = load_file(weights)
    graph = Graph("all-minilm-l6-v2")
    x = _embeddings(graph, state)
    for layer in range(LAYERS):
        x = _layer(graph, state, x, f"encoder.layer.{layer}")
    mean = graph.op("ReduceMean", x, axes=[1], keepdims=0)
    graph.op("LpNormalization", mean, output="embedding", axis=1, p=2)
    graph.write(
        target, [value_info("tokens", [1, "length"], TensorProto.INT64)], [value_info("embedding", [1, DIM])]
    )


def _embeddings(graph: Graph, state: dict[str, Array]) -> str:
    codes, scale = quantise(state["embeddings.word_embeddings.weight"], axis=1)
    # Gather before the cast: only the rows of this text are ever turned into floats.
    rows = graph.op("Cast", graph.op("Gather", graph.constant(codes), "tokens"), to=TensorProto.FLOAT)
    words = graph.op("Mul", rows, graph.op("Gather", graph.constant(scale), "tokens"))
    places = (
        state["embeddings.position_embeddings.weight"] + state["embeddings.token_type_embeddings.weight"][0]
    )
    length = graph.op("Shape", "tokens", start=1, end=2)
    zero, axis = graph.constant(np.array([0], np.int64)), graph.constant(np.array([0], np.int64))
    here = graph.op("Slice", graph.half(places), zero, length, axis)
    return _norm(graph, state, graph.op("Add", words, here), "embeddings.LayerNorm")


def _layer(graph: Graph, state: dict[str, Array], x: str, name: str) -> str:
    split = graph.constant(np.array([0, 0, HEADS, HEAD_DIM], np.int64))
    query, key, value = (
        graph.op("Reshape", _dense(graph, state, x, f"{name}.attention.self.{part}"), split)
        for part in ("query", "key", "value")
    )
    scores = graph.op(
        "MatMul",
        graph.op("Transpose", query, perm=[0, 2, 1, 3]),
        graph.op("Transpose", key, perm=[0, 2, 3, 1]),
    )
    scores = graph.op("Mul", scores, graph.constant(np.float32(HEAD_DIM**-0.5)))
    mixed = graph.op(
        "MatMul", graph.op("Softmax", scores, axis=-1), graph.op("Transpose", value, perm=[0, 2, 1, 3])
    )
    merge = graph.constant(np.array([0, 0, DIM], np.int64))
    mixed = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), merge)
    mixed = _dense(graph, state, mixed, f"{name}.attention.output.dense")
    x = _norm(graph, state, graph.op("Add", x, mixed), f"{name}.attention.output.LayerNorm")
    wide = _gelu(graph, _dense(graph, state, x, f"{name}.intermediate.dense"))
    wide = _dense(graph, state, wide, f"{name}.output.dense")
    return _norm(graph, state, graph.op("Add", x, wide), f"{name}.output.LayerNorm")


def _dense(graph: Graph, state: dict[str, Array], x: str, name: str) -> str:
    product = graph.op("MatMul", x, graph.int8(state[f"{name}.weight"].T))
    return graph.op("Add", product, graph.constant(state[f"{name}.bias"]))


def _norm(graph: Graph, state: dict[str, Array], x: str, name: str) -> str:
    gain, bias = graph.constant(state[f"{name}.weight"]), graph.constant(state[f"{name}.bias"])
    return graph.op("LayerNormalization", x, gain, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)


def _gelu(graph: Graph, x: str) -> str:
    erf = graph.op("Erf", graph.op("Mul", x, graph.constant(np.float32(2**-0.5))))
    return graph.op(
        "Mul",
        graph.op("Mul", x, graph.constant(np.float32(0.5))),
        graph.op("Add", erf, graph.constant(np.float32(1))),
    )

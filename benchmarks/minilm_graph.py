"""Write the ONNX graph that runs the published weights of all-MiniLM-L6-v2, without the weights.

    python benchmarks/minilm_graph.py [--write]

The model is published as ``model.safetensors``: named tensors without a graph, which ONNX Runtime cannot run. This is
the graph of BERT (Devlin et al., https://arxiv.org/abs/1810.04805) for its sizes. Its initializers have the names of
the tensors and no data; ``models/sentence_encoder.py`` gives them the data. Needs the package ``onnx`` of the extra
``dev``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import ModelProto, TensorProto, helper

GRAPH_FILE = Path(__file__).resolve().parents[1] / "src/longvideoagent/models/minilm.onnx"
LAYERS, HEADS, HIDDEN, INNER = 6, 12, 384, 1536
VOCABULARY, MAX_TOKENS = 30522, 512
EPSILON = 1e-12
OPSET, IR_VERSION = 20, 9
"""``Gelu`` came with opset 20; ONNX Runtime reads both since 1.17."""


class Graph:
    """Nodes and initializers, in order."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Add a tensor of the weights, as external data that whoever loads the graph gives."""
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="model.safetensors")
        self.tensors.append(tensor)
        return name

    def constant(self, *values: int) -> str:
        """Add a list of integers."""
        name = f"constant_{len(self.tensors)}"
        self.tensors.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def linear(self, value: str, name: str, num_in: int, num_out: int) -> str:
        """``value`` times the transposed matrix, plus the bias."""
        inputs = [value, self.weight(f"{name}.weight", num_out, num_in), self.weight(f"{name}.bias", num_out)]
        return self.node("Gemm", inputs, transB=1)

    def normalized(self, value: str, name: str) -> str:
        """Layer normalization over the last axis."""
        inputs = [value, self.weight(f"{name}.weight", HIDDEN), self.weight(f"{name}.bias", HIDDEN)]
        return self.node("LayerNormalization", inputs, epsilon=EPSILON)


def embeddings(graph: Graph) -> str:
    """The sum of the embeddings of words, positions and the first segment, normalized: batch x tokens x hidden."""
    words = graph.weight("embeddings.word_embeddings.weight", VOCABULARY, HIDDEN)
    positions = graph.weight("embeddings.position_embeddings.weight", MAX_TOKENS, HIDDEN)
    segments = graph.weight("embeddings.token_type_embeddings.weight", 2, HIDDEN)
    num_tokens = graph.node("Shape", ["input_ids"], start=1, end=2)
    used = graph.node("Slice", [positions, graph.constant(0), num_tokens, graph.constant(0)])
    total = graph.node("Add", [graph.node("Gather", [words, "input_ids"]), used])
    total = graph.node("Add", [total, graph.node("Gather", [segments, graph.constant(0)])])
    return graph.normalized(total, "embeddings.LayerNorm")


def attention(graph: Graph, rows: str, layer: str, mask: str, shape: str) -> str:
    """Self-attention of all heads: token rows x hidden. ``shape`` is batch, tokens, heads, size of a head."""

    def heads(name: str, order: Sequence[int]) -> str:
        value = graph.linear(rows, f"{layer}.attention.self.{name}", HIDDEN, HIDDEN)
        return graph.node("Transpose", [graph.node("Reshape", [value, shape])], perm=order)

    scores = graph.node("MatMul", [heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1))])
    scores = graph.node("Add", [graph.node("Mul", [scores, "scale"]), mask])
    mixed = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), heads("value", (0, 2, 1, 3))])
    mixed = graph.node("Transpose", [mixed], perm=(0, 2, 1, 3))
    joined = graph.node("Reshape", [mixed, graph.constant(-1, HIDDEN)])
    return graph.linear(joined, f"{layer}.attention.output.dense", HIDDEN, HIDDEN)


def encoder_layer(graph: Graph, rows: str, layer: str, mask: str, shape: str) -> str:
    """Attention and two linear maps, each with a residual and a normalization after it."""
    attended = graph.node("Add", [rows, attention(graph, rows, layer, mask, shape)])
    rows = graph.normalized(attended, f"{layer}.attention.output.LayerNorm")
    inner = graph.node("Gelu", [graph.linear(rows, f"{layer}.intermediate.dense", HIDDEN, INNER)])
    mapped = graph.node("Add", [rows, graph.linear(inner, f"{layer}.output.dense", INNER, HIDDEN)])
    return graph.normalized(mapped, f"{layer}.output.LayerNorm")


def minilm() -> ModelProto:
    """The whole model, from ids of tokens to a vector for each token."""
    graph = Graph()
    for name, value in (("scale", (HIDDEN // HEADS) ** -0.5), ("one", 1.0), ("hidden", -1e9)):
        graph.tensors.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    embedded = embeddings(graph)
    num_tokens = graph.node("Shape", ["input_ids"], start=1, end=2)
    shape = graph.node("Concat", [graph.constant(-1), num_tokens, graph.constant(HEADS, HIDDEN // HEADS)], axis=0)
    known = graph.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    unknown = graph.node("Mul", [graph.node("Sub", ["one", known]), "hidden"])
    mask = graph.node("Unsqueeze", [unknown, graph.constant(1, 2)])
    rows = graph.node("Reshape", [embedded, graph.constant(-1, HIDDEN)])
    for number in range(LAYERS):
        rows = encoder_layer(graph, rows, f"encoder.layer.{number}", mask, shape)
    whole = graph.node("Concat", [graph.constant(-1), num_tokens, graph.constant(HIDDEN)], axis=0)
    graph.nodes.append(helper.make_node("Reshape", [rows, whole], ["last_hidden_state"]))
    integers = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    vectors = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", HIDDEN])
    graph_proto = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", integers, [vectors], graph.tensors)
    return helper.make_model(graph_proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def main() -> None:
    """Compare the graph with the file, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"write {GRAPH_FILE.name}")
    data = minilm().SerializeToString()
    if parser.parse_args().write:
        GRAPH_FILE.write_bytes(data)
    print("up to date" if GRAPH_FILE.read_bytes() == data else "differs; run it with --write")


if __name__ == "__main__":
    main()

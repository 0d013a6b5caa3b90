"""A sentence encoder of a few words, in ONNX: words of one meaning have vectors of one direction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

MEANINGS = ("car automobile vehicle", "doctor physician surgeon", "happy glad cheerful", "rain storm weather")
"""Words that mean the same, one direction for each line."""


def vocabulary() -> dict[str, int]:
    """The number of each word that the tokenizer knows; 0 is any other."""
    return {"[UNK]": 0} | {word: number for number, word in enumerate(" ".join(MEANINGS).split(), start=1)}


def embeddings() -> NDArray[np.float32]:
    """The vector of each word; that of unknown words is short and has a direction of its own."""
    table = np.zeros((len(vocabulary()), len(MEANINGS) + 1), dtype=np.float32)
    table[0, -1] = 0.01
    for number, words in enumerate(MEANINGS):
        for word in words.split():
            table[vocabulary()[word], number] = 1.0
    return table


def tiny_tokenizer(words: Mapping[str, int] | None = None) -> bytes:
    """``tokenizer.json`` with these words, by default ``vocabulary()``."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(dict(words or vocabulary()), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return str(tokenizer.to_str()).encode()


def tiny_model(output_rank: int = 3, input_name: str = "input_ids") -> bytes:
    """``model.onnx``: the vector of each token, batch x tokens x dimensions; with rank 2 only the first token's."""
    from onnx import TensorProto, helper, numpy_helper

    table = embeddings()
    nodes = [helper.make_node("Gather", ["table", input_name], ["vectors"])]
    shape = ["batch", "tokens", table.shape[1]]
    if output_rank == 2:
        nodes.append(helper.make_node("ReduceMax", ["vectors"], ["first"], axes=[1], keepdims=0))
        shape = ["batch", table.shape[1]]
    ids = helper.make_tensor_value_info(input_name, TensorProto.INT64, ["batch", "tokens"])
    vectors = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "tiny", [ids], [vectors], [numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def tiny_files() -> dict[str, bytes]:
    """The files of the encoder, for an entry of weights."""
    return {"model.onnx": tiny_model(), "tokenizer.json": tiny_tokenizer()}

"""Sentence embeddings in this process (extra ``meaning``): texts of the same meaning get vectors of the same direction.

The model is any encoder in ONNX that has a vector for each token, with a tokenizer of the library ``tokenizers``; the
vector of a text is the mean over its tokens. all-MiniLM-L6-v2 is published as tensors without a graph, so the graph is
``minilm.onnx`` of this package, which ``benchmarks/minilm_graph.py`` writes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longvideoagent.errors import DataError, as_data_error, require_extra
from longvideoagent.index.meaning import Vectors
from longvideoagent.models.onnx_session import open_session
from longvideoagent.progress import Progress, no_progress
from longvideoagent.weights.manifest import Weights, find_weights
from longvideoagent.weights.store import open_weights

GRAPH, TENSORS, TOKENIZER, MODEL = (
    Path(__file__).with_name("minilm.onnx"),
    "model.safetensors",
    "tokenizer.json",
    "model.onnx",
)
EXTRA = "meaning"
VERSION = 1
"""Raise it when the same weights would give other vectors."""
MAX_TOKENS = 256
"""Of one text, as all-MiniLM-L6-v2 was trained; what follows does not count."""
TOKENS_PER_BATCH = 128
"""More at once take longer: their values leave the processor's cache."""
STAGE = "comparing texts by meaning"
_IGNORED = ("pooler.", "embeddings.position_ids")
"""Tensors of the published file that are not used for sentence embeddings."""
_MAX_HEADER_BYTES = 100_000_000


class SentenceEncoder:
    """Turns texts into vectors. Not for use by several threads at once."""

    def __init__(self, weights: Weights) -> None:
        """Load weights; ``load_encoder`` finds them by name. Raises DataError for files that cannot be used."""
        paths = open_weights(weights)
        model, tensors = paths.get(MODEL), paths.get(TENSORS)
        if TOKENIZER not in paths or (model is None and tensors is None):
            have = ", ".join(paths)
            needs = f"{TOKENIZER}, and {MODEL} or {TENSORS}"
            raise DataError(f"{weights.name}: not a sentence encoder (it has {have}); one has {needs}")
        self.name = weights.name
        self.identity = _identity(weights)
        """Changes with the weights and with this code; for keys of what was computed."""
        self._tensors = {} if tensors is None else read_tensors(tensors)
        """ONNX Runtime does not copy them."""
        with as_data_error(model or tensors):
            graph = GRAPH if model is None else model
            # more threads wait for each other with such small batches
            self._session = open_session(graph, num_threads=1, tensors=self._tensors)
        with as_data_error(paths[TOKENIZER]):
            self._tokenizer = _tokenizer(paths[TOKENIZER])
        self._inputs = {each.name for each in self._session.get_inputs()}
        self.num_dimensions = self._check(paths[TOKENIZER], model or paths[TENSORS])

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Vectors:
        """The vectors of texts.

        Args:
            texts: Any texts; of each, the first ``MAX_TOKENS`` tokens count.
            progress: Called with ``STAGE`` and a fraction.

        Returns:
            One row a text, of length 1; zeros for a text without tokens.
        """
        tokens = [each.ids for each in self._tokenizer.encode_batch([*texts])]
        result = np.zeros((len(texts), self.num_dimensions), dtype=np.float32)
        num_done = 0
        for batch in _batches([len(each) for each in tokens]):
            result[batch] = self._run([tokens[number] for number in batch])
            num_done += len(batch)
            progress(STAGE, num_done / len(texts))
        return result

    def _run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(tokens):
            ids[row, : len(each)], mask[row, : len(each)] = each, 1
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        outputs = self._session.run(None, {name: values[name] for name in self._inputs})
        sums = np.einsum("bth,bt->bh", outputs[0], mask.astype(np.float32))
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        result: Vectors = (sums / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        return result

    def _check(self, tokenizer: Path, model: Path) -> int:
        """The length of the vectors. Raises DataError if the model does not have the form of an encoder, or does not
        know the tokens of the tokenizer."""
        known = {"input_ids", "attention_mask", "token_type_ids"}
        shape = self._session.get_outputs()[0].shape
        if not {"input_ids"} <= self._inputs <= known or len(shape) != 3 or not isinstance(shape[2], int):
            inputs = ", ".join(sorted(self._inputs))
            needs = "input_ids and a vector for each token"
            raise DataError(f"{model}: has the inputs {inputs} and an output of {shape}; an encoder has {needs}")
        self.num_dimensions = shape[2]
        last = max(self._tokenizer.get_vocab().values(), default=0)
        with as_data_error(f"{model}, with the tokens of {tokenizer.name}"):
            self._run([[last]])
        return self.num_dimensions


def load_encoder(name: str) -> SentenceEncoder:
    """The encoder of known weights.

    Raises:
        UsageError: The extra is not installed, or there are no weights of this name.
        DataError: The weights are not on this machine, damaged, or not those of an encoder.
    """
    require_extra("tokenizers", extra=EXTRA)
    return SentenceEncoder(find_weights(name, EXTRA))


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a safetensors file (https://github.com/huggingface/safetensors#format) that embeddings need.

    Raises:
        DataError: It is damaged, or has numbers of another type.
    """
    with as_data_error(path):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        if len(data) < 8 or size > min(len(data) - 8, _MAX_HEADER_BYTES):
            raise DataError(f"{path}: not a safetensors file; replace it")
        header = json.loads(data[8 : 8 + size])
        rows = {name: row for name, row in header.items() if not name.startswith(("__metadata__", *_IGNORED))}
        return {name: _tensor(path, data, 8 + size, name, row) for name, row in rows.items()}


def _tensor(path: Path, data: bytes, offset: int, name: str, row: Mapping[str, Any]) -> NDArray[np.float32]:
    (start, end), shape = row["data_offsets"], row["shape"]
    if row["dtype"] != "F32":
        raise DataError(f"{path}: {name} has numbers of the type {row['dtype']}; give one with F32")
    count = math.prod(shape)
    if not 0 <= start <= end <= len(data) - offset or end - start != 4 * count:
        raise DataError(f"{path}: {name} is not inside the file, or not of its shape {shape}; replace the file")
    return np.frombuffer(data, dtype="<f4", offset=offset + start, count=count).reshape(shape)


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _identity(weights: Weights) -> str:
    digest = hashlib.sha256(f"{VERSION}\0".encode())
    if weights.file(MODEL) is None:
        digest.update(GRAPH.read_bytes())
    for file in weights.files:
        digest.update(f"{file.file}\0{file.sha256}\0".encode())
    return digest.hexdigest()


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of texts that have tokens, in batches of similar length, so that few places are empty."""
    batch: list[int] = []
    for number in sorted((number for number, length in enumerate(lengths) if length), key=lambda each: lengths[each]):
        if batch and (len(batch) + 1) * lengths[number] > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch

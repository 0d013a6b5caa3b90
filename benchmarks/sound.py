"""Measure what finding sounds takes: 20 minutes of stereo AAC through a network of YAMNet's layers.

The weights are random, so only the speed is measured: of decoding, of a network with the layers and sizes of YAMNet's
paper (MobileNet v1 on patches of 96 x 64, 521 labels), and of making spans. Prints a Markdown table.

    python benchmarks/sound.py
"""

from __future__ import annotations

import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from longvideoagent.index.sounds import BLOCK_S, RATE_HZ, find_sounds
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.sound import sound_blocks
from longvideoagent.models.sound_tagger import load_tagger
from table import row, seconds

MINUTES = 20
LABELS, BANDS, FRAME, HOP, FFT, PATCH = 521, 64, 400, 160, 512, 96
LAYERS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
"""Stride and width of each separable convolution."""


class Network:
    """A graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self._rng = np.random.default_rng(0)

    def tensor(self, values: NDArray[Any]) -> str:
        """A constant."""
        self.tensors.append(numpy_helper.from_array(values, f"t{len(self.tensors)}"))
        return str(self.tensors[-1].name)

    def random(self, *shape: int) -> str:
        """Weights that keep the size of what they are applied to."""
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return self.tensor((self._rng.standard_normal(shape) * scale).astype(np.float32))

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """An operation; returns the name of its result."""
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [*inputs], [name], **attributes))
        return name

    def ints(self, *values: int) -> str:
        """A constant of whole numbers."""
        return self.tensor(np.array(values))

    def convolve(self, source: str, weights: str, width: int, **attributes: Any) -> str:
        """A convolution with its bias, and a rectifier."""
        bias = self.tensor(np.zeros(width, np.float32))
        return self.node("Relu", self.node("Conv", source, weights, bias, auto_pad="SAME_UPPER", **attributes))


def patches(net: Network) -> str:
    """The logarithms of the energies of bands, in patches of 0.96 s every 0.48 s."""
    times = np.arange(FRAME) * np.arange(FFT // 2 + 1)[:, None] * 2 * np.pi / FFT
    kernel = np.concatenate((np.cos(times), np.sin(times))) * np.hanning(FRAME)
    waves = net.node("Reshape", "waveform", net.ints(1, 1, -1))
    parts = net.node("Conv", waves, net.tensor(kernel[:, None].astype(np.float32)), strides=[HOP], pads=[0, FRAME])
    pairs = net.node("Reshape", parts, net.ints(2, FFT // 2 + 1, -1))
    powers = net.node("ReduceSum", net.node("Mul", pairs, pairs), net.ints(0), keepdims=0)
    bands = net.node("MatMul", net.tensor(np.full((BANDS, FFT // 2 + 1), 0.01, np.float32)), net.node("Sqrt", powers))
    logs = net.node("Log", net.node("Add", bands, net.tensor(np.array(0.001, np.float32))))
    frames = net.node("Transpose", logs, perm=[1, 0])
    count = net.node("Gather", net.node("Shape", frames), net.ints(0))
    half = net.ints(PATCH // 2)
    whole = net.node("Mul", net.node("Div", count, half), half)
    cut = net.node("Slice", frames, net.ints(0), whole, net.ints(0))
    halves = net.node("Reshape", cut, net.ints(-1, PATCH // 2, BANDS))
    first = net.node("Slice", halves, net.ints(0), net.ints(-1), net.ints(0))
    second = net.node("Slice", halves, net.ints(1), net.ints(1 << 40), net.ints(0))
    return net.node("Unsqueeze", net.node("Concat", first, second, axis=1), net.ints(1))


def network() -> bytes:
    """``model.onnx`` with the layers of YAMNet."""
    net = Network()
    state, width = net.convolve(patches(net), net.random(32, 1, 3, 3), 32, strides=[2, 2]), 32
    for stride, wider in LAYERS:
        state = net.convolve(state, net.random(width, 1, 3, 3), width, strides=[stride, stride], group=width)
        state, width = net.convolve(state, net.random(wider, width, 1, 1), wider), wider
    means = net.node("Flatten", net.node("GlobalAveragePool", state))
    logits = net.node("MatMul", means, net.random(width, LABELS))
    net.node("Sigmoid", logits, output="scores")
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["samples"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["frames", LABELS])
    graph = helper.make_graph(net.nodes, "yamnet", [waveform], [scores], net.tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def make_sound(path: Path) -> None:
    """Write minutes of stereo AAC: notes that decay, and noise."""
    rate, rng = 48_000, np.random.default_rng(0)
    times = np.arange(rate) / rate
    notes = [np.sin(2 * np.pi * hz * times) * np.exp(-4 * times) for hz in (220, 277, 330, 440)]
    bar = np.concatenate(notes) * 0.3 + rng.normal(0, 0.003, 4 * rate)
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=rate, layout="stereo")
        assert isinstance(track, av.AudioStream)
        track.bit_rate = 128_000
        for start in range(0, MINUTES * 60 * rate, 1024):
            part = np.take(bar, np.arange(start, start + 1024), mode="wrap").astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([part, part]), "fltp", "stereo")
            frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(track.encode(frame))
        container.mux(track.encode())


def measure(folder: Path) -> None:
    """Measure and print all rows."""
    path = folder / "sound.m4a"
    make_sound(path)
    (folder / "model.onnx").write_bytes(network())
    (folder / "labels.txt").write_text("\n".join(f"label {number}" for number in range(LABELS)))
    row("what", "figure", "aim")
    row("---", "---", "---")
    cpu_s = seconds(lambda: [None for _ in sound_blocks(path, RATE_HZ, BLOCK_S)], time.process_time)
    row(f"decoding {MINUTES} minutes of AAC", f"{cpu_s:.1f} CPU-s", "")
    tagger = load_tagger(str(folder))
    with VideoIndex(folder / "index", "f" * 32) as index:
        cpu_s = seconds(lambda: find_sounds(path, index, tagger), time.process_time)
    row("finding sounds in them, layers of YAMNet with random weights", f"{cpu_s:.1f} CPU-s", "≤ 3 CPU-s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch))

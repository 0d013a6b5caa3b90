"""A sound tagger in ONNX that knows tones: the score of a label is twice the amplitude of its tone in a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

RATE = 16_000
TONES_HZ = {"Speech": 500.0, "Music": 1000.0, "Explosion": 1500.0}
"""The tone of each label."""
WINDOW, HOP = 15_360, 7_680
"""YAMNet's, in samples."""
Sound = NDArray[np.float32]


def tone_model(
    tones_hz: Sequence[float] = tuple(TONES_HZ.values()),
    *,
    shape: Sequence[int | str] = ("samples",),
    element: str = "FLOAT",
    gain: float = 2.0,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """``model.onnx``. With a ``gain`` of NaN all scores are NaN."""
    from onnx import TensorProto, helper, numpy_helper

    time_s = np.arange(WINDOW) / RATE
    waves = [wave(2 * np.pi * hz * time_s) for hz in tones_hz for wave in (np.sin, np.cos)]
    kernel = np.stack(waves)[:, None].astype(np.float32) * np.float32(2 / WINDOW)
    constants = {
        "kernel": kernel,
        "gain": np.array(gain, np.float32),
        "one": np.array(1, np.float32),
        "as_waves": np.array([1, 1, -1], np.int64),
        "as_pairs": np.array([len(tones_hz), 2, -1], np.int64),
        "pair_axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["waveform"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["numbers", "as_waves"], ["waves"]),
        helper.make_node("Conv", ["waves", "kernel"], ["parts"], strides=[HOP]),
        helper.make_node("Mul", ["parts", "parts"], ["squares"]),
        helper.make_node("Reshape", ["squares", "as_pairs"], ["pairs"]),
        helper.make_node("ReduceSum", ["pairs", "pair_axis"], ["powers"], keepdims=0),
        helper.make_node("Sqrt", ["powers"], ["amplitudes"]),
        helper.make_node("Mul", ["amplitudes", "gain"], ["raised"]),
        helper.make_node("Min", ["raised", "one"], ["limited"]),
        helper.make_node("Transpose", ["limited"], ["scores"], perm=[1, 0]),
    ]
    waveform = helper.make_tensor_value_info("waveform", TensorProto.DataType.Value(element), [*shape])
    outputs = [
        helper.make_tensor_value_info("powers", TensorProto.FLOAT, None),  # YAMNet has other outputs, too
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["frames", len(tones_hz)]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tones", [waveform], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    return bytes(model.SerializeToString())


def labels_csv(labels: Sequence[str] = tuple(TONES_HZ)) -> bytes:
    """``labels.csv`` in the form of YAMNet's class map."""
    rows = [f'{number},/m/0{number},"{label}"' for number, label in enumerate(labels)]
    return "\n".join(["index,mid,display_name", *rows, ""]).encode()


def tone_files() -> dict[str, bytes]:
    """The files of the tagger."""
    return {"model.onnx": tone_model(), "labels.csv": labels_csv()}


def write_tagger(folder: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """A folder with a tagger."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (files or tone_files()).items():
        (folder / name).write_bytes(data)
    return folder


def tones(seconds: float, *heard: tuple[str, float, float], rate: int = RATE) -> Sound:
    """Silence with the tones of labels, each from a time to another in seconds."""
    sound = np.zeros(round(seconds * rate), np.float32)
    for label, start_s, end_s in heard:
        place = np.arange(round(start_s * rate), round(end_s * rate))
        sound[place] += np.sin(2 * np.pi * TONES_HZ[label] * place / rate).astype(np.float32) * np.float32(0.45)
    return sound


def write_film(
    path: Path,
    sound: Sound | None,
    *,
    rate: int = RATE,
    codec: str = "aac",
    seconds: float = 0,
    pause: tuple[float, float] = (0, 0),
) -> Path:
    """A grey video, one frame a second, with that sound, and at least so long. After the first seconds of ``pause``,
    its stream has nothing for the second ones."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=1)
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        track = None if sound is None else container.add_stream(codec, rate=rate, layout="mono")
        for _ in range(max(1, round(seconds), 0 if sound is None else round(len(sound) / rate))):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        if track is not None and sound is not None:
            assert isinstance(track, av.AudioStream)
            samples = (sound * 32767).astype(np.int16)
            for start in range(0, len(samples), 1024):
                piece = AudioFrame.from_ndarray(samples[None, start : start + 1024], "s16", "mono")
                pause_s = pause[1] if start >= pause[0] * rate else 0
                piece.rate, piece.pts = rate, start + round(pause_s * rate)
                container.mux(track.encode(piece))
            container.mux(track.encode())
    return path

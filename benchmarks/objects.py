"""CPU time of looking for objects: what is done around the network, and networks that are given as folders.

    python benchmarks/objects.py [FOLDER ...]

A folder has the form of docs/objects.md; ``random_detectors.py`` writes some with random weights, which take as long as
trained ones.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from longvideoagent.index.objects import Presence, Sighting, object_spans
from longvideoagent.index.visible_objects import count_objects
from longvideoagent.media.frames import Pixels
from longvideoagent.models.object_detector import COCO, ObjectDetector, load_detector
from table import row, seconds

FRAME = 360, 640, 3
NUM_FRAMES, ROUNDS = 20, 5
QUERIES, OBJECTS = 300, 10


def write_constant(folder: Path) -> None:
    """A detector that reads no pixels, and finds ten objects on each frame."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    logits = np.full((1, QUERIES, len(COCO)), -6, np.float32)
    logits[0, np.arange(OBJECTS), rng.integers(len(COCO), size=OBJECTS)] = 2
    boxes = rng.uniform(0.2, 0.4, (1, QUERIES, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"constant_{name}"], [name]) for name in ("logits", "pred_boxes")],
        "constant",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, 640, 640])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", "pred_boxes")],
        [
            numpy_helper.from_array(logits, "constant_logits"),
            numpy_helper.from_array(boxes, "constant_pred_boxes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def search(detector: ObjectDetector, frames: list[Pixels]) -> None:
    """What the index of a video needs of its frames, once they are decoded."""
    sightings = [
        Sighting(4.0 * number, {label: Presence(0.5, count) for label, count in count_objects(objects).items()})
        for number, objects in enumerate(map(detector.detect, frames))
    ]
    object_spans(sightings, 4.0 * len(frames))


def cpu_ms(detector: ObjectDetector, num_frames: int) -> float:
    """CPU milliseconds of a frame, the median of several rounds."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(255, size=FRAME, dtype=np.uint8) for _ in range(num_frames)]
    search(detector, frames)
    rounds = [seconds(partial(search, detector, frames), time.process_time) for _ in range(ROUNDS)]
    return 1000 * statistics.median(rounds) / num_frames


def main() -> None:
    """Measure and print all rows."""
    with tempfile.TemporaryDirectory() as made:
        write_constant(Path(made))
        around_ms = cpu_ms(load_detector(made), NUM_FRAMES)
    row("look for objects on a frame, without the network", f"{around_ms:.1f} CPU-ms", "≤ 4")
    for folder in sys.argv[1:]:
        size_mb = (Path(folder) / "model.onnx").stat().st_size / 1e6
        figure = f"{cpu_ms(load_detector(folder), 4):.0f} CPU-ms"
        row(f"the same with the network {Path(folder).name} ({size_mb:.0f} MB)", figure, "≤ 40")


if __name__ == "__main__":
    main()

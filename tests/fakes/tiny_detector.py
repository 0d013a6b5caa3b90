"""A detector in ONNX that finds what is red and what is blue in 16 cells of a frame, and a folder of frames to find."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from longvideoagent.media.frames import Pixels

CELLS = 4
"""On each side of a frame."""
LABELS = ("person", "dog")
"""What is red, and what is blue."""
COLOURS = {"person": (255, 0, 0), "dog": (0, 0, 255)}
Cell = tuple[str, int, int]
"""A label, its column and its row."""


def tiny_detector(
    *,
    side_px: int | str = 64,
    inputs: Sequence[str] = ("pixel_values",),
    box_columns: int = 4,
    num_classes: int = 2,
    is_finite: bool = True,
) -> bytes:
    """``model.onnx``; a side that is a name is 640 pixels. Classes beyond the second are those of dark cells."""
    from onnx import TensorProto, helper, numpy_helper

    cell_px = (side_px if isinstance(side_px, int) else 640) // CELLS
    weights = np.full((num_classes, 3, 1, 1), -1, np.float32)
    weights[0, 0] = weights[1, 2] = 1
    tensors = {
        "weights": weights,
        "shape": np.array([1, num_classes, CELLS * CELLS], np.int64),
        "scale": np.array(20 if is_finite else nan, np.float32),
        "offset": np.array(10, np.float32),
        "boxes": cell_boxes()[:, :, :box_columns],
    }
    nodes = [
        helper.make_node("Conv", [inputs[0], "weights"], ["masks"]),
        helper.make_node("AveragePool", ["masks"], ["cells"], kernel_shape=[cell_px] * 2, strides=[cell_px] * 2),
        helper.make_node("Reshape", ["cells", "shape"], ["classes"]),
        helper.make_node("Transpose", ["classes"], ["queries"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["queries", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "offset"], ["logits"]),
        helper.make_node("Identity", ["boxes"], ["pred_boxes"]),
    ]
    shape = [1, 3, side_px, side_px]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", "pred_boxes")],
        [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def cell_boxes() -> NDArray[np.float32]:
    """The box of each cell as centre, width and height, row by row; shape (1, cells, 4)."""
    rows = [
        [(column + 0.5) / CELLS, (row + 0.5) / CELLS, 1 / CELLS, 1 / CELLS]
        for row in range(CELLS)
        for column in range(CELLS)
    ]
    return np.array([rows], np.float32)


def write_detector(folder: Path, model: bytes | None = None, labels: str | None = "\n".join(LABELS)) -> Path:
    """Write the folder of a detector; without labels there is no file with them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(tiny_detector() if model is None else model)
    if labels is not None:
        (folder / "labels.txt").write_text(labels)
    return folder


def draw_cells(cells: Iterable[Cell], size: tuple[int, int] = (320, 180)) -> Pixels:
    """A dark frame with these objects in its cells."""
    image = Image.new("RGB", size)
    width, height = size[0] // CELLS, size[1] // CELLS
    for label, column, row in cells:
        corner = column * width, row * height
        ImageDraw.Draw(image).rectangle((*corner, corner[0] + width - 1, corner[1] + height - 1), COLOURS[label])
    return np.asarray(image, np.uint8)

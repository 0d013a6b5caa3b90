"""Detection of objects in this process (extra ``objects``) by networks of the DETR family, such as D-FINE and RT-DETR.

A folder or weights with ``model.onnx``, the whole network in one file:

- input ``pixel_values``, float32, (1, 3, height, width): RGB from 0 to 1, the frame stretched to that size, which the
  graph states; ``DEFAULT_SIDE_PX`` where it does not;
- output ``logits``, (1, queries, classes), of which the sigmoid is the score;
- output ``pred_boxes``, (1, queries, 4): centre x, centre y, width, height in fractions of the frame.

Each query is at most one object, so nothing overlapping is removed. ``labels.txt`` has one label a line, in the order
of the classes; without it, a network of 80 classes has those of COCO.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longvideoagent.errors import DataError, as_data_error, require_extra
from longvideoagent.index.visible_objects import Box, VisibleObject
from longvideoagent.media.frames import Pixels
from longvideoagent.models.label_file import checked_labels
from longvideoagent.models.onnx_session import open_session
from longvideoagent.weights.files import open_model_files

EXTRA, MODEL, LABELS = "objects", "model.onnx", "labels.txt"
VERSION = 1
"""Raise it when the same weights would give other objects."""
MIN_SCORE = 0.4
DEFAULT_SIDE_PX = 640
MAX_SIDE_PX = 2048
MAX_THREADS = 4
"""Maximum number of threads that look at one frame."""
INPUT, LOGITS, BOXES = "pixel_values", "logits", "pred_boxes"
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator",
    "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 classes of COCO in their usual order."""
_MIN_LOGIT = math.log(MIN_SCORE / (1 - MIN_SCORE))


class ObjectDetector:
    """Finds objects on frames, also in several threads at once."""

    def __init__(self, name: str) -> None:
        """Load known weights, or those of a folder; ``load_detector`` also checks the extra.

        Raises:
            UsageError: There are neither weights nor a folder of this name.
            DataError: They cannot be used.
        """
        files = open_model_files(name, (MODEL, LABELS), EXTRA)
        if MODEL not in files.paths:
            raise DataError(f"{name}: not an object detector (there is no {MODEL}); give one that has it")
        self.name = files.name
        self.identity = hashlib.sha256(f"{VERSION}\0{files.digest}".encode()).hexdigest()
        """Changes with the weights and with this code; for keys of what was found."""
        self._path = files.paths[MODEL]
        with as_data_error(self._path):
            num_threads = min(MAX_THREADS, os.cpu_count() or 1)
            self._session = open_session(self._path, num_threads, can_spin=False)  # others need the processor, too
        self._height_px, self._width_px = self._input_size()
        logits, _ = self._run(np.zeros((self._height_px, self._width_px, 3), np.uint8))
        self.labels = _labels(files.paths, logits.shape[1])
        """One for each class."""

    def detect(self, rgb: Pixels) -> list[VisibleObject]:
        """The objects on a frame.

        Args:
            rgb: The frame, of any size.

        Returns:
            Those with a score of at least ``MIN_SCORE``, the surest first. Boxes end at the edges of the frame.

        Raises:
            DataError: The network fails, or gives values that are not numbers.
        """
        logits, boxes = self._run(rgb)
        classes = logits.argmax(axis=1)
        best = logits[np.arange(len(logits)), classes]
        order = [int(query) for query in np.argsort(-best, kind="stable") if best[query] >= _MIN_LOGIT]
        return [
            VisibleObject(self.labels[classes[query]], _score(float(best[query])), _box(boxes[query]))
            for query in order
        ]

    def _run(self, rgb: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits and boxes of all queries. Raises DataError for anything else."""
        with as_data_error(self._path):
            outputs = self._session.run([LOGITS, BOXES], {INPUT: self._pixel_values(rgb)})
            with np.errstate(over="ignore"):  # what is too large is not finite, and refused below
                logits, boxes = (np.asarray(each, dtype=np.float32) for each in outputs)
        shapes = logits.shape, boxes.shape
        if logits.ndim != 3 or not logits.shape[2] or boxes.shape != (1, logits.shape[1], 4) or len(logits) != 1:
            has = f"{LOGITS} {shapes[0]} and {BOXES} {shapes[1]}"
            needs = "(1, queries, classes) and (1, queries, 4); see docs/objects.md"
            raise DataError(f"{self._path}: not an object detector; it gives {has}, and one gives {needs}")
        if not (np.isfinite(logits).all() and np.isfinite(boxes).all()):
            raise DataError(f"{self._path}: gives values that are not numbers; replace the file")
        return logits[0], boxes[0]

    def _pixel_values(self, rgb: Pixels) -> NDArray[np.float32]:
        import cv2

        resized = cv2.resize(rgb, (self._width_px, self._height_px), interpolation=cv2.INTER_LINEAR)
        values = np.empty((1, 3, self._height_px, self._width_px), np.float32)
        for channel in range(3):  # much faster than one transposition
            np.multiply(resized[:, :, channel], np.float32(1 / 255), out=values[0, channel], dtype=np.float32)
        return values

    def _input_size(self) -> tuple[int, int]:
        """Height and width of the input. Raises DataError if the network has others than a detector."""
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = [each.name for each in self._session.get_outputs()]
        if [*inputs] != [INPUT] or not {LOGITS, BOXES} <= set(outputs):
            has = f"the inputs {', '.join(inputs)} and the outputs {', '.join(outputs)}"
            needs = f"{INPUT}, {LOGITS} and {BOXES}; see docs/objects.md"
            raise DataError(f"{self._path}: not an object detector; it has {has}, and one has {needs}")
        shape, kind = inputs[INPUT].shape, inputs[INPUT].type
        fixed = [size if isinstance(size, int) else None for size in shape]  # others have a name, or none
        if kind != "tensor(float)" or len(fixed) != 4 or fixed[0] not in (1, None) or fixed[1] not in (3, None):
            needs = "float32 of (1, 3, height, width)"
            raise DataError(f"{self._path}: its input is {kind} of {tuple(shape)}; a detector reads {needs}")
        sizes = [size or DEFAULT_SIDE_PX for size in fixed[2:]]
        if max(sizes) > MAX_SIDE_PX:
            needs = f"at most {MAX_SIDE_PX} pixels a side"
            raise DataError(f"{self._path}: reads frames of {sizes[1]}x{sizes[0]}; give one that reads {needs}")
        return sizes[0], sizes[1]


def load_detector(name: str) -> ObjectDetector:
    """The detector of known weights, or of a folder.

    Raises:
        UsageError: The extra is not installed, or there are neither weights nor a folder of this name.
        DataError: The weights are not on this machine, damaged, or not those of a detector.
    """
    require_extra("onnxruntime", extra=EXTRA)
    return ObjectDetector(name)


def _labels(paths: Mapping[str, Path], num_classes: int) -> tuple[str, ...]:
    path = paths.get(LABELS)
    if path is None:
        if num_classes != len(COCO):
            fix = f"put {LABELS} with a label on each line next to it"
            raise DataError(f"{paths[MODEL]}: has {num_classes} classes and no labels; {fix}")
        return COCO
    with as_data_error(path):
        labels = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    if len(labels) != num_classes:
        raise DataError(f"{path}: has {len(labels)} labels, and {MODEL} has {num_classes} classes; give one for each")
    return checked_labels(path, labels)


def _score(logit: float) -> float:
    return round(1 / (1 + math.exp(-logit)), 3)


def _box(row: NDArray[np.float32]) -> Box:
    x, y, width, height = (float(value) for value in row)
    sides = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return Box(*(min(1.0, max(0.0, side)) for side in sides))

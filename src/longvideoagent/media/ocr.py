"""Read the text on screen with rapidocr, whose models are part of its wheel."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longvideoagent.media.frames import Pixels

VERSION = 1
"""Raise it when other text would be read off the same frame."""
DETECT_SIDE_PX = 360
"""Shorter side of the frame during text detection; 0.25 s a frame against 0.9 s at the default 736."""
MIN_CONFIDENCE = 0.75
MIN_CONFIDENCE_SINGLE = 0.9
"""For a single character, which is most often a misread edge."""
CHANGED_CELL = 0.08
"""Difference, 0 to 1, from which a cell of a thumbnail counts as changed."""
CHANGED_CELLS = 6
"""Number of changed cells from which two frames may show different text; a moving mouth stays below."""
STAGE = "reading the text on screen"
THUMBNAIL_PX = 64
CROP_HEIGHT, CROP_WIDTH = 24, 256
"""Of the images in which one text is compared: some pixels for each character of a long line."""
MAX_CROPS = 16
CHANGED_CONTRAST, MIN_CROP_CONTRAST, CHANGED_PIXELS = 0.4, 25.0, 6
"""How many pixels of a crop change, and by which part of its contrast and grey level at least, for another text."""
MAX_THREADS = 4
"""Maximum number of threads that read one frame."""


@dataclass(frozen=True, slots=True)
class ScreenText:
    """A piece of text on a frame. The box is in fractions of the frame's width and height."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@cache
def _engine() -> Any:
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "error",
            "Det.limit_side_len": DETECT_SIDE_PX,
            "Det.limit_type": "min",
            "EngineConfig.onnxruntime.intra_op_num_threads": min(MAX_THREADS, os.cpu_count() or 1),
        }
    )


def read_screen(rgb: Pixels) -> list[ScreenText]:
    """Return the pieces of text on a frame, from top to bottom, without those of low confidence."""
    height, width = rgb.shape[:2]
    result = _engine()(np.ascontiguousarray(rgb[:, :, ::-1]))
    if result.boxes is None or result.txts is None:
        return []
    pieces = []
    for box, text, confidence in zip(result.boxes, result.txts, result.scores, strict=True):
        min_confidence = MIN_CONFIDENCE if len(text.strip()) > 1 else MIN_CONFIDENCE_SINGLE
        if confidence >= min_confidence and any(character.isalnum() for character in text):
            xs, ys = box[:, 0] / width, box[:, 1] / height
            pieces.append(ScreenText(text.strip(), float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())))
    return sorted(pieces, key=lambda piece: (piece.top, piece.left))


def thumbnail(rgb: Pixels) -> NDArray[np.float32]:
    """A small grey image, 0 to 1, for ``is_different``; shape (THUMBNAIL_PX, THUMBNAIL_PX)."""
    import cv2

    grey = cv2.cvtColor(cv2.resize(rgb, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    small: NDArray[np.float32] = grey.astype(np.float32) / np.float32(255)
    return small


def is_different(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether two thumbnails differ by at least as much as one word."""
    return int((np.abs(after - before) > CHANGED_CELL).sum()) >= CHANGED_CELLS


def text_crops(rgb: Pixels, texts: Sequence[ScreenText]) -> NDArray[np.uint8]:
    """Grey images of the places of the first ``MAX_CROPS`` texts, for ``is_text_different``; shape (texts, CROP_HEIGHT,
    CROP_WIDTH)."""
    import cv2

    height, width = rgb.shape[:2]
    crops = np.zeros((min(len(texts), MAX_CROPS), CROP_HEIGHT, CROP_WIDTH), np.uint8)
    for crop, text in zip(crops, texts, strict=False):
        left, right = max(0, int(text.left * width)), max(1, math.ceil(text.right * width))
        top, bottom = max(0, int(text.top * height)), max(1, math.ceil(text.bottom * height))
        if (part := rgb[top:bottom, left:right]).size:
            crop[:] = cv2.resize(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), (CROP_WIDTH, CROP_HEIGHT))
    return crops


def is_text_different(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether crops of the same places differ by at least as much as one character, by the contrast of the text."""
    low, high = np.percentile(before, (5, 95), axis=(1, 2))
    limit = np.maximum(MIN_CROP_CONTRAST, CHANGED_CONTRAST * (high - low))[:, None, None]
    changed = np.abs(after.astype(np.int16) - before) > limit
    return bool((changed.sum(axis=(1, 2)) >= CHANGED_PIXELS).any())


def sample_times(keyframes_s: Sequence[float], num_steps: int, step_s: float) -> list[float]:
    """One time in each step: its first keyframe, which is cheap to read, or its start if it has none."""
    keyframes = iter(keyframes_s)
    key_s = next(keyframes, None)
    times = []
    for index in range(num_steps):
        start_s = index * step_s
        while key_s is not None and key_s < start_s:
            key_s = next(keyframes, None)
        times.append(key_s if key_s is not None and key_s < start_s + step_s else start_s)
    return times

"""Classical computer vision on decoded frames: colours, change between frames, faces.

All functions take RGB pixels, shape (height, width, 3), and report positions as fractions of the frame, so that
results do not depend on the resolution.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from longvideoagent.media.frames import Pixels

ColourShares = NDArray[np.float32]
VERSION = 1
"""Raise it when the same frames would give other results."""
COLOURS = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink")
SCENE_CHANGE = 0.35
"""Fraction of changed pixels from which two frames count as different scenes (or as a moving camera)."""
MIN_AREA_FRACTION = 0.0015
"""Changed regions smaller than this fraction of the frame are noise."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Something of one colour that moved between two frames; positions are fractions of the frame."""

    colour: str
    from_x: float
    from_y: float
    to_x: float
    to_y: float


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between two frames."""

    changed_fraction: float
    movements: tuple[Movement, ...] = ()

    @property
    def is_scene_change(self) -> bool:
        """Whether too much has changed to separate single movements."""
        return self.changed_fraction >= SCENE_CHANGE


def classify_pixels(rgb: Pixels) -> NDArray[np.uint8]:
    """Return an index into ``COLOURS`` for each pixel.

    Hue decides if a pixel is saturated and light enough to have one; dark orange is brown and light red is pink, as
    people name them."""
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    hue, saturation, value = (hsv[..., i].astype(np.int16) for i in range(3))
    names = np.select(
        [
            value < 50,
            (saturation < 40) & (value > 200),
            saturation < 40,
            ((hue < 8) | (hue >= 172)) & (saturation < 130) & (value > 180),
            (hue < 20) & (value < 150) & (hue >= 5),
            (hue < 8) | (hue >= 172),
            hue < 20,
            hue < 34,
            hue < 86,
            hue < 129,
            hue < 146,
        ],
        [0, 1, 2, 10, 3, 4, 5, 6, 7, 8, 9],
        default=10,
    )
    return np.asarray(names, dtype=np.uint8)


def colour_fractions(rgb: Pixels) -> list[tuple[str, float]]:
    """Colour names with the fraction of pixels that each covers, largest first."""
    counts = Counter(classify_pixels(rgb).ravel().tolist())
    total = rgb.shape[0] * rgb.shape[1]
    return [(COLOURS[index], count / total) for index, count in counts.most_common()]


def colour_shares(rgb: Pixels) -> ColourShares:
    """The shares of the pixels in 192 bins of hue, saturation and value; they add up to 1."""
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256]).ravel()
    shares: ColourShares = (counts / counts.sum()).astype(np.float32)
    return shares


def background_colour(rgb: Pixels, left: float, top: float, right: float, bottom: float) -> str:
    """The colour behind the text in this box: the most frequent one along the rim of the box."""
    height, width = rgb.shape[:2]
    pad = max(2, round(0.25 * (bottom - top) * height))
    x0, x1 = max(0, int(left * width) - pad), min(width, int(right * width) + pad)
    y0, y1 = max(0, int(top * height) - pad), min(height, int(bottom * height) + pad)
    patch = rgb[y0:y1, x0:x1]
    if patch.size == 0:
        return "grey"
    rim = np.concatenate([patch[:2].reshape(-1, 3), patch[-2:].reshape(-1, 3), patch[:, 0], patch[:, -1]])
    return colour_fractions(np.ascontiguousarray(rim[None]))[0][0]


def compare(before: Pixels, after: Pixels) -> Change:
    """Compare a frame with a later one of the same size."""
    if before.shape != after.shape:
        return Change(1.0)
    difference = cv2.absdiff(before, after).max(axis=2)
    changed = cv2.morphologyEx((difference > 40).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    changed_fraction = float(changed.mean())
    if changed_fraction == 0 or changed_fraction >= SCENE_CHANGE:
        return Change(changed_fraction)
    return Change(changed_fraction, tuple(_movements(before, after, changed)))


def _movements(before: Pixels, after: Pixels, changed: NDArray[np.uint8]) -> Sequence[Movement]:
    """Pair changed regions: a colour left one and entered the other."""
    names_before, names_after = classify_pixels(before), classify_pixels(after)
    height, width = changed.shape
    min_area_px = MIN_AREA_FRACTION * height * width
    movements = []
    for index, colour in enumerate(COLOURS):
        left = (changed > 0) & (names_before == index) & (names_after != index)
        entered = (changed > 0) & (names_after == index) & (names_before != index)
        sizes = int(left.sum()), int(entered.sum())
        if min(sizes) < min_area_px or max(sizes) > 2 * min(sizes):
            continue
        (from_y, from_x), (to_y, to_x) = (np.argwhere(mask).mean(axis=0) for mask in (left, entered))
        shift = abs(to_x - from_x) / width + abs(to_y - from_y) / height
        stands_out = _fraction_around(entered, names_after == index) < 0.5
        if shift > 0.03 and stands_out and _is_compact(left) and _is_compact(entered):
            movements.append(Movement(colour, from_x / width, from_y / height, to_x / width, to_y / height))
    return movements


def _fraction_around(region: NDArray[np.bool_], named: NDArray[np.bool_]) -> float:
    """The fraction of the rim around a region that has one colour. Uncovered background is surrounded by its own
    colour; the object that moved is not."""
    rim = cv2.dilate(region.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & ~region
    return float(named[rim].mean()) if rim.any() else 0.0


def _is_compact(mask: NDArray[np.bool_]) -> bool:
    """Whether a region is one object and not scattered pixels: it fills a fair part of its box."""
    ys, xs = np.nonzero(mask)
    box = (np.ptp(ys) + 1) * (np.ptp(xs) + 1)
    return bool(mask.sum() > 0.2 * box)


_thread_local = threading.local()


def _face_detector() -> cv2.CascadeClassifier:
    """One for each thread, because a cascade classifier keeps state of the image it works on."""
    if not hasattr(_thread_local, "face_detector"):
        model = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
        _thread_local.face_detector = cv2.CascadeClassifier(str(model))
    detector: cv2.CascadeClassifier = _thread_local.face_detector
    return detector


def count_faces(rgb: Pixels) -> int:
    """Count the faces turned towards the camera."""
    grey = cv2.equalizeHist(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY))
    side = max(24, min(grey.shape) // 14)
    return len(_face_detector().detectMultiScale(grey, scaleFactor=1.15, minNeighbors=6, minSize=(side, side)))

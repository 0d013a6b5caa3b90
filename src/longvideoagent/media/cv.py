"""Classical computer vision on decoded frames: colours, change between frames, faces.

Everything here works on RGB pixels, shape (height, width, 3), and reports positions in shares of
the frame, so results do not depend on resolution.
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

VERSION = 1
"""Raise it when the same frames would give other results."""
COLOURS = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink")
SCENE_CHANGE = 0.35
"""Share of changed pixels from which two frames are taken for different scenes (or a moving camera)."""
LEAST_AREA = 0.0015
"""Changed regions smaller than this share of the frame are noise."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Something of one colour that changed its place between two frames."""

    colour: str
    from_x: float
    from_y: float
    to_x: float
    to_y: float


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between two frames."""

    share: float
    movements: tuple[Movement, ...] = ()

    @property
    def is_scene_change(self) -> bool:
        """Too much has changed for single movements to be told apart."""
        return self.share >= SCENE_CHANGE


def name_pixels(rgb: Pixels) -> NDArray[np.uint8]:
    """Index into ``COLOURS`` for each pixel. Hue decides where a pixel is saturated and light
    enough to have one; dark orange is brown and light red is pink, as people name them."""
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


def colour_shares(rgb: Pixels) -> list[tuple[str, float]]:
    """Colour names by the share of pixels they cover, largest first."""
    counts = Counter(name_pixels(rgb).ravel().tolist())
    total = rgb.shape[0] * rgb.shape[1]
    return [(COLOURS[index], count / total) for index, count in counts.most_common()]


def colour_behind(rgb: Pixels, left: float, top: float, right: float, bottom: float) -> str:
    """The colour that text in this box stands on: the commonest one along the box's rim."""
    height, width = rgb.shape[:2]
    pad = max(2, round(0.25 * (bottom - top) * height))
    x0, x1 = max(0, int(left * width) - pad), min(width, int(right * width) + pad)
    y0, y1 = max(0, int(top * height) - pad), min(height, int(bottom * height) + pad)
    patch = rgb[y0:y1, x0:x1]
    if patch.size == 0:
        return "grey"
    rim = np.concatenate([patch[:2].reshape(-1, 3), patch[-2:].reshape(-1, 3), patch[:, 0], patch[:, -1]])
    return colour_shares(np.ascontiguousarray(rim[None]))[0][0]


def compare(before: Pixels, after: Pixels) -> Change:
    """What changed from one frame to a later one of the same size."""
    if before.shape != after.shape:
        return Change(1.0)
    difference = cv2.absdiff(before, after).max(axis=2)
    changed = cv2.morphologyEx((difference > 40).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    share = float(changed.mean())
    if share == 0 or share >= SCENE_CHANGE:
        return Change(share)
    return Change(share, tuple(_movements(before, after, changed)))


def _movements(before: Pixels, after: Pixels, changed: NDArray[np.uint8]) -> Sequence[Movement]:
    """Pairs of changed regions where a colour left one and came to the other."""
    names_before, names_after = name_pixels(before), name_pixels(after)
    height, width = changed.shape
    least = LEAST_AREA * height * width
    found = []
    for index, colour in enumerate(COLOURS):
        left = (changed > 0) & (names_before == index) & (names_after != index)
        came = (changed > 0) & (names_after == index) & (names_before != index)
        sizes = int(left.sum()), int(came.sum())
        if min(sizes) < least or max(sizes) > 2 * min(sizes):
            continue
        (from_y, from_x), (to_y, to_x) = (np.argwhere(mask).mean(axis=0) for mask in (left, came))
        shift = abs(to_x - from_x) / width + abs(to_y - from_y) / height
        stands_out = _share_around(came, names_after == index) < 0.5
        if shift > 0.03 and stands_out and _is_compact(left) and _is_compact(came):
            found.append(Movement(colour, from_x / width, from_y / height, to_x / width, to_y / height))
    return found


def _share_around(region: NDArray[np.bool_], named: NDArray[np.bool_]) -> float:
    """The share of one colour in the rim around a region. The background that a moving thing lays
    bare has its own colour around it; the thing itself has another."""
    rim = cv2.dilate(region.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & ~region
    return float(named[rim].mean()) if rim.any() else 0.0


def _is_compact(mask: NDArray[np.bool_]) -> bool:
    """Whether a region is one thing and no scattering of pixels: it fills a fair part of its box."""
    ys, xs = np.nonzero(mask)
    box = (np.ptp(ys) + 1) * (np.ptp(xs) + 1)
    return bool(mask.sum() > 0.2 * box)


_of_thread = threading.local()


def _face_finder() -> cv2.CascadeClassifier:
    """One for each thread: a cascade classifier keeps the state of its current picture."""
    if not hasattr(_of_thread, "face_finder"):
        model = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
        _of_thread.face_finder = cv2.CascadeClassifier(str(model))
    finder: cv2.CascadeClassifier = _of_thread.face_finder
    return finder


def count_faces(rgb: Pixels) -> int:
    """Faces turned towards the camera."""
    grey = cv2.equalizeHist(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY))
    side = max(24, min(grey.shape) // 14)
    return len(_face_finder().detectMultiScale(grey, scaleFactor=1.15, minNeighbors=6, minSize=(side, side)))

"""Read the text on screen with rapidocr, whose models are part of its wheel."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.types import Subtitle
from longvideoagent.media.frames import Pixels
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.progress import Progress, no_progress

VERSION = 1
"""Raise it when other text would be read off the same frame."""
DETECT_SIDE_PX = 360
"""Shorter side of the frame during text detection; 0.25 s a frame against 0.9 s at the default 736."""
MIN_CONFIDENCE = 0.75
MIN_CONFIDENCE_SINGLE = 0.9
"""For a single character, which is most often a misread edge."""
CHANGED_CELL = 0.08
"""Difference, 0 to 1, from which a cell of a 64 x 64 thumbnail counts as changed."""
CHANGED_CELLS = 6
"""Number of changed cells from which two frames may show different text; a moving mouth stays below."""
STAGE = "reading the text on screen"
STEP_S = 4.0
MAX_READS = 300
"""Maximum number of frames read in a whole video: about 75 s of work on 2 cores."""
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
    """A 64 x 64 grey image, 0 to 1, for ``is_different``."""
    import cv2

    grey = cv2.cvtColor(cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    small: NDArray[np.float32] = grey.astype(np.float32) / np.float32(255)
    return small


def is_different(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether two thumbnails differ by at least as much as one word."""
    return int((np.abs(after - before) > CHANGED_CELL).sum()) >= CHANGED_CELLS


def read_video_text(video: VideoReader, progress: Progress = no_progress) -> list[Subtitle]:
    """Read the text shown in a video, as subtitles that last as long as the text is visible.

    Samples a frame every ``STEP_S`` seconds (less often in a very long video), on keyframes if they are near, and
    reads only frames that differ from the one before.
    """
    step_s = max(STEP_S, video.duration_s / MAX_READS)
    times_s = _sample_times(video, step_s)
    subtitles: list[Subtitle] = []
    open_since: dict[str, float] = {}
    last_s = 0.0
    last_read: NDArray[np.float32] | None = None
    batch = 16
    for first in range(0, len(times_s), batch):
        chunk = times_s[first : first + batch]
        for number, (time_s, frame) in enumerate(zip(chunk, video.frames(chunk), strict=True), first):
            progress(STAGE, number / len(times_s))
            if not frame.is_readable():
                continue
            small = thumbnail(frame.rgb())
            if last_read is None or is_different(last_read, small):
                texts = [piece.text for piece in read_screen(frame.rgb())]
                subtitles += _close(open_since, texts, max(time_s, last_s + 0.1))
                open_since.update({text: time_s for text in texts if text not in open_since})
                last_read = small
            last_s = time_s
    progress(STAGE, 1.0)
    subtitles += _close(open_since, [], max(video.duration_s, last_s + 0.1))
    return sorted(subtitles, key=lambda subtitle: subtitle.start_s)


def _close(open_since: dict[str, float], visible: Sequence[str], now_s: float) -> list[Subtitle]:
    """Subtitles for the texts that have disappeared, which are removed from ``open_since``."""
    gone = [text for text in open_since if text not in visible]
    return [Subtitle(open_since.pop(text), now_s, text, source="screen") for text in gone]


def _sample_times(video: VideoReader, step_s: float) -> list[float]:
    """One time in each step: its first keyframe, or its start if it has none."""
    keyframes = iter(video.keyframes_s)
    key_s = next(keyframes, None)
    times = []
    for index in range(max(1, int(np.ceil(video.duration_s / step_s)))):
        start_s = index * step_s
        while key_s is not None and key_s < start_s:
            key_s = next(keyframes, None)
        times.append(key_s if key_s is not None and key_s < start_s + step_s else start_s)
    return times

"""What offline vision has detected in a video, stored under the file's state and the versions of what looked.

The same clip is looked at for many questions, and recognizing text in its frames takes seconds. A cache that cannot be
read or written costs a second look and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from longvideoagent.core.types import Clip
from longvideoagent.index.store import KeyValueCache
from longvideoagent.media import cv, ocr

VERSION = 1
"""Of the stored text; raise it when the text would be parsed differently."""
ENGINES = ("rapidocr", "opencv-python-headless", "av")


@dataclass(frozen=True, slots=True)
class Detection:
    """Something visible on one frame or on several in a row, or a change from one frame to the next."""

    start_s: float
    end_s: float
    text: str
    label: str = ""
    """Of an object; empty for anything else."""
    num_at_once: int = 1
    """How many of an object are seen at once."""


class Detections(NamedTuple):
    """What the frames of a look show."""

    frame_count: int
    """Frames that could be read."""
    detections: list[Detection]
    """In order of time."""


class DetectionCache:
    """Detections by key in ``store``; without a store nothing is kept.

    ``version`` is that of the agent that looks: raise it when the agent would detect something else in the same
    frames. ``detector`` is the identity of its detector of objects, if it has one. Take the key before the frames are
    read, so that a file that changes meanwhile is looked at again."""

    def __init__(self, store: KeyValueCache | None, version: int, detector: str = "") -> None:
        self._store = store
        self._version = version
        self._detector = detector

    def key(self, path: Path, clips: Sequence[Clip], times_s: Sequence[float]) -> bytes | None:
        """A digest of everything that decides what is detected, or None if nothing can be kept: there is no store, or
        the video is a folder, whose files may change one by one. A file counts by path, size and time, because
        hashing its content takes as long as a look."""
        if self._store is None or not path.is_file():
            return None
        state = path.stat()
        parts = {
            "file": [str(path.resolve()), state.st_size, state.st_mtime_ns],
            "clips": [(clip.start_s, clip.end_s) for clip in clips],
            "times_s": list(times_s),
            "versions": [VERSION, self._version, ocr.VERSION, cv.VERSION, *_engine_versions()],
        }
        if self._detector:
            parts["detector"] = self._detector
        return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).digest()

    def get(self, key: bytes | None) -> Detections | None:
        """The stored detections, or None."""
        if self._store is None or key is None:
            return None
        try:
            frame_count, rows = json.loads(self._store.try_get(key) or "")
            return Detections(int(frame_count), [Detection(*row) for row in rows])
        except (ValueError, TypeError):  # not stored, or a row of another form
            return None

    def put(self, key: bytes | None, detections: Detections) -> None:
        """Store detections."""
        if self._store is None or key is None:
            return
        rows = [astuple(detection) for detection in detections.detections]
        self._store.try_put(key, json.dumps([detections.frame_count, rows]))


def join_runs(detections: Sequence[Detection], frame_times_s: Sequence[float]) -> list[Detection]:
    """One detection for each run of equal ones, in order of time. A run ends at the first frame without it."""
    next_time_s = dict(pairwise(sorted(set(frame_times_s))))
    runs_of_text: dict[str, list[Detection]] = {}
    for detection in detections:
        runs = runs_of_text.setdefault(detection.text, [])
        if runs and detection.start_s <= next_time_s.get(runs[-1].end_s, runs[-1].end_s):
            runs[-1] = replace(runs[-1], end_s=max(runs[-1].end_s, detection.end_s))
        else:
            runs.append(detection)
    joined = [run for runs in runs_of_text.values() for run in runs]
    return sorted(joined, key=lambda run: (run.start_s, run.end_s))


@cache
def _engine_versions() -> list[str]:
    return [metadata.version(name) for name in ENGINES]

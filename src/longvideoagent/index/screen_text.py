"""Reading the text on screen of a whole video in passes, coarse to fine, each spread over the whole length.

The video is divided into slots, with one frame of each to be sampled. The first passes take frames far apart, the last
one all that are left, so that what is known covers the whole length at any time. Frames are sampled in steps, each
stored when it is done. Text is recognized only in frames that look different from their nearest neighbours that were
read; the others show what those do.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Subtitle
from longvideoagent.index.detections import Detection, join_runs
from longvideoagent.index.stored_frames import (
    Appearance,
    FrameReading,
    count_frames,
    drop_thumbnails,
    read_frames,
    visible_texts,
    write_frames,
)
from longvideoagent.index.stored_text import Place, StepCost, StoredText, TextKind, read_text
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media import ocr
from longvideoagent.media.frames import Frame, Pixels
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.text_columns import describe_column, text_columns
from longvideoagent.progress import Progress

VERSION = 2
"""Raise it when other frames would be sampled, or other spans made of their texts."""
SLOT_S = 4.0
MAX_SLOTS = 900
"""Slots of a longer video are longer: an hour has slots of 4 seconds."""
PASS_FRAMES = (10, 20, 40, 80, 160, 320, 640)
"""Frames after each pass, as long as the video has more slots; then all."""
FIRST_FRAMES = PASS_FRAMES[2]
"""What the first question waits for: 10 to 20 seconds of work."""
USUAL_FRAMES = PASS_FRAMES[5]
"""What a video is opened with for many questions: one or two minutes of work."""
STEP_FRAMES = 8
"""Frames of one step: a few seconds of work, which is what a process that is killed loses."""
STEP_NAME = "screen text"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a video's text on screen was read. Passes are read in order, so that the number of frames says which
    ones."""

    duration_s: float
    num_sampled: int

    @property
    def num_slots(self) -> int:
        """Frames to be sampled in all."""
        return num_slots(self.duration_s)

    @property
    def is_complete(self) -> bool:
        """Whether a frame of each slot was sampled."""
        return self.num_sampled >= self.num_slots

    @property
    def text(self) -> str:
        """For people: ``one frame every 1:30 (40 of 900)``, by the last pass that is complete."""
        complete = [count for count in (*PASS_FRAMES, self.num_slots) if count <= min(self.num_sampled, self.num_slots)]
        spacing_s = self.duration_s / max(complete, default=1)
        spacing = f"{spacing_s:.0f} s" if spacing_s < 60 else format_timestamp(spacing_s)
        return f"one frame every {spacing} ({self.num_sampled} of {self.num_slots})"


class ScreenRead(NamedTuple):
    """The text on screen, as far as it was read."""

    text: StoredText
    coverage: Coverage


def read_screen_text(
    reader: VideoReader, index: VideoIndex, duration_s: float, progress: Progress, max_frames: int | None = None
) -> ScreenRead:
    """Read the text on screen of a video.

    Args:
        reader: Reads its frames.
        index: Its index. What it has is not read again; what is read is added to it.
        duration_s: Its length.
        progress: Called for each frame.
        max_frames: Frames to be sampled in all; None: one of each slot.

    Returns:
        The text, with more frames than were asked for if they were sampled before.

    Raises:
        DataError: The video cannot be read.
    """
    key, num_wanted = screen_key(duration_s), num_slots(duration_s)
    if max_frames is not None:
        num_wanted = min(num_wanted, max_frames)
    num_sampled = count_frames(index, key)
    stored = read_text(index, TextKind.SCREEN, key) if num_sampled >= num_wanted else None
    if stored is not None:
        return ScreenRead(stored, Coverage(duration_s, num_sampled))
    sweep = _Sweep(reader, index, duration_s)
    for step in sweep.steps(num_wanted):
        with index.claim(partial(sweep.has, step), progress) as must_read:
            if must_read:
                sweep.perform(step, progress)
    progress(ocr.STAGE, 1.0)
    sweep.drop_thumbnails()
    return ScreenRead(sweep.text(), sweep.coverage)


def read_screen_columns(index: VideoIndex, duration_s: float) -> list[Detection]:
    """The text on screen in columns, as vision reports it but for the colours, once a frame of each slot was sampled.

    Args:
        index: The index of a video.
        duration_s: Its length.

    Returns:
        Each text from the first to the last frame of a run that shows it, in order of time; none before that.
    """
    key = screen_key(duration_s)
    if count_frames(index, key) < num_slots(duration_s):
        return []
    readings = read_frames(index, key)
    times_s = [time_s for time_s, reading in sorted(readings.items()) if reading.shown_s is not None]
    shown = [
        Detection(time_s, time_s, describe_column(column))
        for time_s in times_s
        for column in text_columns(visible_texts(readings, readings[time_s]))
    ]
    return join_runs(shown, times_s)


def num_slots(duration_s: float) -> int:
    """Frames that are sampled in all."""
    return max(1, math.ceil(duration_s / _slot_s(duration_s)))


def _slot_s(duration_s: float) -> float:
    return max(SLOT_S, duration_s / MAX_SLOTS)


def passes(num_slots: int) -> list[list[int]]:
    """The slots of each pass, without those of the passes before it."""
    taken: set[int] = set()
    result = []
    for count in (*(each for each in PASS_FRAMES if each < num_slots), num_slots):
        slots = {number * num_slots // count for number in range(count)} - taken
        taken |= slots
        result.append(sorted(slots))
    return result


def screen_key(duration_s: float) -> str:
    """The key of the screen text: the versions of what samples and reads, and the length, which decides the slots."""
    return f"{VERSION} {ocr.VERSION} {_engine_version()} {duration_s:.3f}"


@cache
def _engine_version() -> str:
    return metadata.version("rapidocr")


_Step = tuple[float, ...]
"""Times of frames that are sampled together."""


class _Sweep:
    """The slots of a video, and the frames that were sampled."""

    def __init__(self, reader: VideoReader, index: VideoIndex, duration_s: float) -> None:
        self._reader, self._index, self._duration_s = reader, index, duration_s
        self._key = screen_key(duration_s)
        self._times_s = ocr.sample_times(reader.keyframes_s, num_slots(duration_s), _slot_s(duration_s))
        self._readings: dict[float, FrameReading] = {}
        self._reload()

    def _reload(self) -> None:
        known = set(self._times_s)
        stored = read_frames(self._index, self._key)
        self._readings |= {time_s: each for time_s, each in stored.items() if time_s in known}

    @property
    def coverage(self) -> Coverage:
        """How much was read."""
        return Coverage(self._duration_s, len(self._readings))

    def steps(self, num_frames: int) -> Iterator[_Step]:
        """The steps of the passes, in order, until they have this many frames."""
        for slots in passes(len(self._times_s)):
            for first in range(0, len(slots), STEP_FRAMES):
                if num_frames <= 0:
                    return
                part = slots[first : first + STEP_FRAMES]
                yield tuple(self._times_s[slot] for slot in part)
                num_frames -= len(part)

    def has(self, step: _Step) -> bool:
        """Whether the frames of a step were sampled, by whomever."""
        is_known = all(time_s in self._readings for time_s in step)
        if not is_known and count_frames(self._index, self._key) > len(self._readings):
            self._reload()
        return all(time_s in self._readings for time_s in step)

    def perform(self, step: _Step, progress: Progress) -> None:
        """Sample the frames of a step, and store them with the text as it then is."""
        started_s = time.monotonic()
        new = []
        for time_s, frame in zip(step, self._reader.frames(step), strict=True):
            progress(ocr.STAGE, len(self._readings) / len(self._times_s))
            if time_s not in self._readings:
                self._readings[time_s] = self._read(time_s, frame)
                new.append(self._readings[time_s])
        covered = f"0:00 to {format_timestamp(self._duration_s)}, {self.coverage.text}"
        write_frames(self._index, self.text(), new, StepCost(STEP_NAME, covered, time.monotonic() - started_s))

    def _read(self, time_s: float, frame: Frame) -> FrameReading:
        if not frame.is_readable():
            return FrameReading(time_s, None)
        rgb = frame.rgb()
        small = ocr.thumbnail(rgb)
        for neighbour in self._neighbours(time_s):
            if _shows_the_same(neighbour, rgb, small):
                return FrameReading(time_s, neighbour.time_s)
        texts = tuple(ocr.read_screen(rgb))
        return FrameReading(time_s, time_s, texts, Appearance(small, ocr.text_crops(rgb, texts)))

    def _neighbours(self, time_s: float) -> Iterator[FrameReading]:
        """The frames that the nearest sampled frames before and after a time show."""
        decoded = sorted(each.time_s for each in self._readings.values() if each.shown_s is not None)
        place = bisect.bisect(decoded, time_s)
        for near_s in decoded[max(0, place - 1) : place + 1]:
            yield self._readings[self._readings[near_s].shown_s or 0.0]

    def text(self) -> StoredText:
        """The text as far as it was read."""
        lines = spans(self._readings, self._duration_s)
        return StoredText(
            TextKind.SCREEN,
            self._key,
            tuple(line for line, _ in lines),
            "the screen",
            places=tuple(place for _, place in lines),
        )

    def drop_thumbnails(self) -> None:
        """Delete what frames were compared with, once all were sampled."""
        if self.coverage.is_complete and any(each.appearance is not None for each in self._readings.values()):
            drop_thumbnails(self._index)


def _shows_the_same(reading: FrameReading, rgb: Pixels, small: NDArray[np.float32]) -> bool:
    """Whether a frame, given with its thumbnail, looks like one that was read: as a whole, and where that has text."""
    seen = reading.appearance
    if seen is None or ocr.is_different(seen.thumbnail, small):
        return False
    return not len(seen.crops) or not ocr.is_text_different(seen.crops, ocr.text_crops(rgb, reading.texts))


def spans(readings: Mapping[float, FrameReading], duration_s: float) -> list[tuple[Subtitle, Place]]:
    """The texts of sampled frames as lines with their places, in order of time. A line lasts from the first frame that
    shows it to the first one after it that does not."""
    lines: list[tuple[Subtitle, Place]] = []
    since: dict[str, tuple[float, Place]] = {}
    last_s = 0.0

    def close(texts: Collection[str], at_s: float) -> None:
        for text in texts:
            start_s, place = since.pop(text)
            lines.append((Subtitle(start_s, at_s, text, "screen"), place))

    for time_s in sorted(readings):
        reading = readings[time_s]
        if reading.shown_s is None:
            continue
        pieces = visible_texts(readings, reading)
        visible = {piece.text: Place(piece.left, piece.top, piece.right, piece.bottom) for piece in reversed(pieces)}
        close([text for text in since if text not in visible], max(time_s, last_s + 0.1))
        for text, place in reversed(visible.items()):
            since.setdefault(text, (time_s, place))
        last_s = time_s
    close(list(since), max(duration_s, last_s + 0.1))
    return sorted(lines, key=lambda line: line[0].start_s)

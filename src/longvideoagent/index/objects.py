"""Objects in a whole video: a detector looks at frames that are spread over it, and what it finds is kept as spans.

Frames are spread as those that are read for their text: one every 4 seconds, of a video over an hour 900, at keyframes
where there are some. A frame that looks like the last one that was searched shows what that one does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.index.events import Event, EventKind, EventSource, FoundEvents, find_events
from longvideoagent.index.screen_text import num_slots
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.index.visible_objects import Detector, count_objects
from longvideoagent.media import ocr
from longvideoagent.media.frames import Frame
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.progress import Progress, no_progress

VERSION = 2
"""Raise it when other frames would be sampled, or other spans made of what they show."""
SIDE_PX = 640
BATCH_FRAMES = 8
"""Frames that are decoded together; from the first ones the time of the others is estimated."""
MIN_ANNOUNCED_S = 2.0
STAGE = "looking for objects"
Announce = Callable[[int, float], object]
"""Called with the number of frames that are left, and the seconds that they take at most, as far as was measured."""


def no_announcement(_num_frames: int, _seconds: float, /) -> None:
    """Say nothing; the default."""


class Presence(NamedTuple):
    """How sure a detector is of a label on one frame, and how many of it are there."""

    score: float
    num_at_once: int


class Sighting(NamedTuple):
    """What one frame shows, by label."""

    time_s: float
    labels: Mapping[str, Presence]


def find_objects(
    reader: VideoReader,
    index: VideoIndex,
    detector: Detector,
    progress: Progress = no_progress,
    announce: Announce = no_announcement,
) -> tuple[Event, ...]:
    """The objects in a video, from its index or searched now.

    Args:
        reader: Reads its frames.
        index: Its index, which keeps what is found.
        detector: Searches frames.
        progress: Called with the fraction of the frames that were searched.
        announce: Called once, after the first frames, if the others may take over ``MIN_ANNOUNCED_S`` seconds.

    Returns:
        A span for each run of frames that show a label, in order of time.

    Raises:
        DataError: The video cannot be read, or the detector fails.
    """
    return find_events(
        index,
        EventKind.OBJECT,
        EventSource(f"{VERSION} {detector.identity}", detector.labels),
        _Search(reader, detector, progress, announce).run,
        progress,
    )


def object_spans(sightings: Sequence[Sighting], duration_s: float) -> list[Event]:
    """Runs of frames that show a label, each with the greatest score and the largest number at once.

    Args:
        sightings: What frames show, in order of time.
        duration_s: The length of the video.

    Returns:
        The spans. One lasts from the first frame that shows the label to the first one after it that does not.
    """
    events: list[Event] = []
    running: dict[str, tuple[float, list[Presence]]] = {}

    def close(label: str, end_s: float) -> None:
        start_s, presences = running.pop(label)
        score, count = max(each.score for each in presences), max(each.num_at_once for each in presences)
        events.append(Event(start_s, max(start_s, end_s), label, score, count))

    for sighting in sightings:
        for label in [*running]:
            if label not in sighting.labels:
                close(label, sighting.time_s)
        for label, presence in sighting.labels.items():
            running.setdefault(label, (sighting.time_s, []))[1].append(presence)
    for label in [*running]:
        close(label, duration_s)
    return sorted(events, key=lambda event: (event.start_s, event.end_s, event.label))


class _Search:
    """The search of one video."""

    def __init__(self, reader: VideoReader, detector: Detector, progress: Progress, announce: Announce) -> None:
        self._reader, self._detector, self._progress, self._announce = reader, detector, progress, announce
        self._sightings: list[Sighting] = []
        self._thumbnail: NDArray[np.float32] | None = None
        """Of the last frame that was searched."""
        self._num_searched, self._decoding_s, self._searching_s = 0, 0.0, 0.0

    def run(self) -> FoundEvents:
        """Search all frames."""
        duration_s = self._reader.duration_s
        num_frames = num_slots(duration_s)
        times_s = ocr.sample_times(self._reader.keyframes_s, num_frames, duration_s / num_frames)
        for start in range(0, num_frames, BATCH_FRAMES):
            if start == BATCH_FRAMES:
                self._announce_cost(start, num_frames)
            started_s = time.monotonic()
            batch = times_s[start : start + BATCH_FRAMES]
            frames = self._reader.frames(batch, SIDE_PX)
            decoded_s = time.monotonic()
            for number, (time_s, frame) in enumerate(zip(batch, frames, strict=True), start):
                self._progress(STAGE, number / num_frames)
                self._look(time_s, frame)
            self._decoding_s += decoded_s - started_s
            self._searching_s += time.monotonic() - decoded_s
        self._progress(STAGE, 1.0)
        events = object_spans(self._sightings, duration_s)
        return FoundEvents(events, self._covered(duration_s, duration_s / num_frames, events))

    def _look(self, time_s: float, frame: Frame) -> None:
        """Add what a frame shows; one that cannot be decoded shows nothing that is known."""
        if not frame.is_readable():
            return
        small = ocr.thumbnail(frame.rgb())
        if self._thumbnail is not None and not ocr.is_different(self._thumbnail, small):
            self._sightings.append(Sighting(time_s, self._sightings[-1].labels))
            return
        objects = self._detector.detect(frame.rgb())
        scores: dict[str, float] = {}
        for each in objects:
            scores[each.label] = max(each.score, scores.get(each.label, 0.0))
        labels = {label: Presence(scores[label], count) for label, count in count_objects(objects).items()}
        self._sightings.append(Sighting(time_s, labels))
        self._thumbnail, self._num_searched = small, self._num_searched + 1

    def _announce_cost(self, num_done: int, num_frames: int) -> None:
        """Say what the other frames take if all of them look different."""
        num_left = num_frames - num_done
        seconds = num_left * (self._decoding_s / num_done + self._searching_s / max(1, self._num_searched))
        if seconds > MIN_ANNOUNCED_S:
            self._announce(num_left, seconds)

    def _covered(self, duration_s: float, slot_s: float, events: Sequence[Event]) -> str:
        num_labels = len({event.label for event in events})
        num_frames = len(self._sightings)
        spans = f"{len(events)} {plural('span', len(events))} of {num_labels} {plural('label', num_labels)}"
        frames = f"{num_frames} {plural('frame', num_frames)}, one every {slot_s:.0f} s"
        return f"0:00 to {format_timestamp(duration_s)}, {frames}, by {self._detector.name}: {spans}"

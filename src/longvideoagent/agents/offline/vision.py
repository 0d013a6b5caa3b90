"""Vision without a model: the text in frames, the colour behind it, movement, faces and main colours; with a detector
also objects.

The result is a list of detections with times. A detection in several consecutive frames is reported once, with its
span. More frames are sampled around times that the query names ("around 75 s", "at 1:15").
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from longvideoagent.agents.offline.is_shown import is_shown
from longvideoagent.agents.offline.question_words import BRIEF
from longvideoagent.agents.offline.vision_wording import change_texts, colours_text, faces_text
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.timefmt import format_timestamp, times_in_s
from longvideoagent.core.types import Clip, Evidence, Usage, VisionResult
from longvideoagent.index.detections import Detection, DetectionCache, Detections, join_runs
from longvideoagent.index.store import KeyValueCache
from longvideoagent.index.visible_objects import Detector, count_objects, object_text
from longvideoagent.media.cv import background_colour, colour_fractions, compare, count_faces
from longvideoagent.media.frames import Frame, Pixels
from longvideoagent.media.ocr import ScreenText, is_different, read_screen, thumbnail
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.text_columns import describe_column, text_columns

VERSION = 3
"""Part of the key of stored detections; raise it when this module would detect something else in the same frames."""
FRAMES_PER_CLIP = 15
"""Frames sampled in each clip (public code: 12 to 15)."""
MAX_FRAMES = 120
"""Frames of one look that are spread evenly, however many clips its span has."""
BRIEF_STEP_S = 0.2
"""Between the frames of a look for what is shown for a moment only."""
MAX_BRIEF_FRAMES = 450
BRIEF_SIDE_PX = 160
BRIEF_REACH = 9
"""Frames to each side with which one is compared."""
MIN_DIFFERENCE = 40.0
"""Of a pixel's brightness, 0 to 255, that counts as a change."""
MAX_BRIEF_READS = 12
"""Frames in which text is read besides those that are spread evenly."""
CLOSER_STEP_S = 1.0
CLOSER_REACH_S = 6.0
MAX_CLOSER_FRAMES = 36
LOOK_SIDE_PX = 640


class OfflineVision:
    """Detects text, movement, faces and colours in frames, and objects if it has a detector. ``cache`` keeps what it
    detects in video files; see ``index.detections``."""

    def __init__(self, cache: KeyValueCache | None = None, detector: Detector | None = None) -> None:
        self._cache, self._detector = cache, detector
        self._in_flight: dict[tuple[str, VisionRequest], asyncio.Future[VisionResult]] = {}

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """Return everything detected in the request's clips. The query decides ``is_found``, and more frames are
        sampled at times that it names. A request that equals one in flight waits for that one and then reads its result
        from the cache."""
        key = str(video.path), request
        if self._cache is not None and key in self._in_flight:
            await asyncio.wait([self._in_flight[key]])
        task = asyncio.ensure_future(asyncio.to_thread(look, request, video, self._cache, self._detector))
        first_task = self._in_flight.setdefault(key, task)
        try:
            return await task
        finally:
            if first_task is task:
                del self._in_flight[key]


def look(
    request: VisionRequest, video: VideoReader, cache: KeyValueCache | None = None, detector: Detector | None = None
) -> VisionResult:
    """The synchronous form of ``OfflineVision.look``, without waiting for equal requests."""
    times_s = sample_times_s(request.window, times_in_s(request.action.query))
    if BRIEF.search(request.action.query):
        times_s = sorted({*times_s, *brief_times_s(request.window, video)})
    detection_cache = DetectionCache(cache, VERSION, detector.identity if detector is not None else "")
    key = detection_cache.key(video.path, request.window, times_s)
    result = detection_cache.get(key)
    if result is None:
        result = _detect(request.window, times_s, video, detector)
        detection_cache.put(key, result)
    count, detections = result
    evidence = tuple(_evidence(_clip_at(request.window, detection.start_s), detection) for detection in detections)
    lines = [
        f"{format_timestamp(detection.start_s)} to {format_timestamp(detection.end_s)}: {detection.text}"
        for detection in detections
    ]
    head = f"{count} frames from {format_timestamp(times_s[0])} to {format_timestamp(times_s[-1])}."
    texts = [detection.text for detection in detections if not detection.label]
    is_found = is_shown(request.action.query, texts, [each.label for each in detections if each.label])
    text = "\n".join([head, *(lines or ["Nothing was detected."])])
    return VisionResult(text, evidence, Usage(calls=1, images=count), is_found)


def _detect(
    clips: Sequence[Clip], times_s: Sequence[float], video: VideoReader, detector: Detector | None
) -> Detections:
    frames = [frame for frame in video.frames(times_s, LOOK_SIDE_PX) if frame.is_readable()]
    runs = join_runs(_detections(frames, detector), [frame.time_s for frame in frames])
    return Detections(len(frames), sorted(runs + _main_colours(clips, frames), key=lambda detection: detection.start_s))


def sample_times_s(clips: Sequence[Clip], close_to_s: Iterable[float]) -> list[float]:
    """Times spread evenly over each clip, and one per second around each of ``close_to_s`` inside a clip."""
    times: set[float] = set()
    num_frames = max(1, min(FRAMES_PER_CLIP, MAX_FRAMES // len(clips)))
    for clip in clips:
        step_s = (clip.end_s - clip.start_s) / num_frames
        times |= {round(clip.start_s + (index + 0.5) * step_s, 2) for index in range(num_frames)}
        nearby = [t for t in close_to_s if clip.start_s - CLOSER_REACH_S <= t <= clip.end_s + CLOSER_REACH_S]
        closer = {
            round(time_s + offset, 2)
            for time_s in nearby
            for offset in np.arange(-CLOSER_REACH_S, CLOSER_REACH_S + 0.01, CLOSER_STEP_S)
            if clip.start_s <= time_s + offset < clip.end_s
        }
        times |= set(sorted(closer)[:MAX_CLOSER_FRAMES])
    return sorted(times)


def brief_times_s(clips: Sequence[Clip], video: VideoReader) -> list[float]:
    """The times at which the picture differs most from what is around them, where something is shown for a moment.

    All of the clips is searched, a small frame every ``BRIEF_STEP_S`` (fewer of long clips), so that what is shown for
    0.3 s is found. Each frame is compared with the median of its surroundings, in which short events do not count.
    """
    start_s, end_s = clips[0].start_s, clips[-1].end_s
    step_s = max(BRIEF_STEP_S, (end_s - start_s) / MAX_BRIEF_FRAMES)
    times_s = [start_s + (index + 0.5) * step_s for index in range(max(1, int((end_s - start_s) / step_s)))]
    frames = [frame for frame in video.frames(times_s, BRIEF_SIDE_PX) if frame.is_readable()]
    if len(frames) < 2:
        return []
    small = np.stack([frame.rgb().mean(axis=2) for frame in frames]).astype(np.float32)
    scores = np.zeros(len(frames))
    for index in range(len(frames)):
        around = small[max(0, index - BRIEF_REACH) : index + BRIEF_REACH + 1 : 2]
        scores[index] = np.mean(np.abs(small[index] - np.median(around, axis=0)) > MIN_DIFFERENCE)
    best = np.argsort(-scores)[:MAX_BRIEF_READS]
    return [round(frames[index].time_s, 2) for index in sorted(best) if scores[index] > 0]


def _evidence(clip: Clip, detection: Detection) -> Evidence:
    start_s, end_s, text = detection.start_s, detection.end_s, detection.text
    label, num_at_once = detection.label, detection.num_at_once
    return Evidence(clip.label, start_s, end_s, "frame", start_s, text, clip.video, label, num_at_once)


def _clip_at(clips: Sequence[Clip], time_s: float) -> Clip:
    return next((clip for clip in clips if time_s < clip.end_s), clips[-1])


def _detections(frames: Sequence[Frame], detector: Detector | None) -> list[Detection]:
    """The detections in each frame. A frame is read only if it differs from the last frame that was read, so that slow
    changes add up until the next one is read."""
    detections: list[Detection] = []
    shown: list[Detection] = []
    last_read: Frame | None = None
    last_thumbnail: NDArray[np.float32] | None = None
    previous_s = 0.0
    for frame in frames:
        small = thumbnail(frame.rgb())
        if last_read is None or last_thumbnail is None or is_different(last_thumbnail, small):
            if last_read is not None:
                change = compare(last_read.rgb(), frame.rgb())
                detections += [Detection(previous_s, frame.time_s, text) for text in change_texts(change)]
            last_read, last_thumbnail, shown = frame, small, _frame_detections(frame, detector)
        detections += [replace(each, start_s=frame.time_s, end_s=frame.time_s) for each in shown]
        previous_s = frame.time_s
    return detections


def _frame_detections(frame: Frame, detector: Detector | None) -> list[Detection]:
    rgb, time_s = frame.rgb(), frame.time_s
    texts = [_column_text(column, rgb) for column in text_columns(read_screen(rgb))]
    faces = count_faces(rgb)
    if faces:
        texts.append(faces_text(faces))
    counts = count_objects(detector.detect(rgb)) if detector is not None else {}
    objects = [Detection(time_s, time_s, object_text(label, count), label, count) for label, count in counts.items()]
    return [Detection(time_s, time_s, text) for text in texts] + objects


def _column_text(column: Sequence[ScreenText], rgb: Pixels) -> str:
    colours = [background_colour(rgb, piece.left, piece.top, piece.right, piece.bottom) for piece in column]
    return describe_column(column, colours)


def _main_colours(clips: Sequence[Clip], frames: Sequence[Frame]) -> list[Detection]:
    """The main colours of each clip."""
    detections = []
    for clip in clips:
        total: Counter[str] = Counter()
        inside = [frame for frame in frames if clip.start_s <= frame.time_s <= clip.end_s]
        for frame in inside:
            total.update(dict(colour_fractions(frame.rgb()[::4, ::4])))
        main = [name for name, fraction in total.most_common(3) if fraction > 0.15 * len(inside)]
        if main:
            detections.append(Detection(inside[0].time_s, inside[-1].time_s, colours_text(main)))
    return detections

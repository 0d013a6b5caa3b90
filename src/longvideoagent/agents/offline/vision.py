"""Vision without a model: the text on frames, what it stands on, what moves, faces and colours.

What is seen is told as facts with times. A fact that holds on several frames in a row is told once,
with its span. Times written in the query ("around 75 s", "at 1:15") are looked at more closely. What was
seen in a video file can be remembered, since the same clip is looked at for many questions.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from longvideoagent.agents.offline.terms import terms
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Clip, Evidence, Usage, VisionResult
from longvideoagent.index.sights import Detection, Detections, Sights
from longvideoagent.media.cv import Change, colour_behind, colour_shares, compare, count_faces
from longvideoagent.media.frames import Frame
from longvideoagent.media.ocr import ScreenText, is_different, read_screen, thumbnail
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.cache import KeyValueCache

VERSION = 1
"""Part of the key of what is remembered; raise it when other things would be detected in the same frames."""
FRAMES_PER_CLIP = 15
"""Frames looked at in each clip (public code: 12 to 15)."""
CLOSER_STEP_S = 1.0
CLOSER_REACH_S = 6.0
MOST_CLOSER_FRAMES = 36
LOOK_SIDE_PX = 640

_TIME = re.compile(r"\b(\d{1,6}):([0-5]?\d)(?::([0-5]?\d))?\b|\b(\d{1,6}(?:\.\d{1,6})?)\s*(?:s|sec|seconds?)\b")


class OfflineVision:
    """Reads, compares and measures frames. ``memory`` keeps what was seen of video files; where it fails, one looks
    anew."""

    def __init__(self, memory: KeyValueCache | None = None) -> None:
        self._memory = memory
        self._under_way: dict[tuple[str, VisionRequest], asyncio.Future[VisionResult]] = {}

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """Everything seen in the request's clips. The query matters only for the times it names. Who asks for what is
        being looked at already waits for it, and finds it remembered."""
        key = str(video.path), request
        if self._memory is not None and key in self._under_way:
            await asyncio.wait([self._under_way[key]])
        looking = asyncio.ensure_future(asyncio.to_thread(look, request, video, self._memory))
        first = self._under_way.setdefault(key, looking)
        try:
            return await looking
        finally:
            if first is looking:
                del self._under_way[key]


def look(request: VisionRequest, video: VideoReader, memory: KeyValueCache | None = None) -> VisionResult:
    """See ``OfflineVision.look``."""
    times_s = sample_times(request.clips, times_in(request.action.query))
    sights = Sights(memory, VERSION)
    key = sights.key(video.path, request.clips, times_s)
    found = sights.get(key)
    if found is None:
        found = _see(request.clips, times_s, video)
        sights.put(key, found)
    count, facts = found
    evidence = tuple(
        Evidence(_clip_at(request.clips, fact.start_s), fact.start_s, fact.end_s, "frame", fact.start_s, fact.text)
        for fact in facts
    )
    told = [f"{format_timestamp(fact.start_s)} to {format_timestamp(fact.end_s)}: {fact.text}" for fact in facts]
    head = f"{count} frames from {format_timestamp(times_s[0])} to {format_timestamp(times_s[-1])}."
    asked = set(terms(request.action.query))
    is_found = not asked or any(asked & set(terms(fact.text)) for fact in facts)
    text = "\n".join([head, *(told or ["Nothing that can be told."])])
    return VisionResult(text, evidence, Usage(calls=1, images=count), is_found)


def _see(clips: Sequence[Clip], times_s: Sequence[float], video: VideoReader) -> Detections:
    frames = [frame for frame in video.frames(times_s, LOOK_SIDE_PX) if frame.is_readable()]
    runs = _join_runs(_facts(frames), [frame.time_s for frame in frames])
    return Detections(len(frames), sorted(runs + _colours(clips, frames), key=lambda fact: fact.start_s))


def times_in(query: str) -> list[float]:
    """The seconds a query names: "75 s", "75.5 seconds", "1:15", "1:02:15"."""
    times = []
    for match in _TIME.finditer(query[:10_000]):
        first, second, third, seconds = match.groups()
        if seconds is not None:
            times.append(float(seconds))
        elif third is not None:
            times.append(int(first) * 3600.0 + int(second) * 60 + int(third))
        else:
            times.append(int(first) * 60.0 + int(second))
    return times


def sample_times(clips: Sequence[Clip], close_to_s: Iterable[float]) -> list[float]:
    """Times spread evenly over each clip, and one a second around each time that lies in them."""
    times: set[float] = set()
    for clip in clips:
        step_s = (clip.end_s - clip.start_s) / FRAMES_PER_CLIP
        times |= {round(clip.start_s + (index + 0.5) * step_s, 2) for index in range(FRAMES_PER_CLIP)}
        nearby = [t for t in close_to_s if clip.start_s - CLOSER_REACH_S <= t <= clip.end_s + CLOSER_REACH_S]
        closer = {
            round(time_s + offset, 2)
            for time_s in nearby
            for offset in np.arange(-CLOSER_REACH_S, CLOSER_REACH_S + 0.01, CLOSER_STEP_S)
            if clip.start_s <= time_s + offset < clip.end_s
        }
        times |= set(sorted(closer)[:MOST_CLOSER_FRAMES])
    return sorted(times)


def _clip_at(clips: Sequence[Clip], time_s: float) -> str:
    return next((clip.label for clip in clips if time_s < clip.end_s), clips[-1].label)


def _facts(frames: Sequence[Frame]) -> list[Detection]:
    """What each frame shows. Only a frame that differs from the last one read is read again; slow
    changes add up until it does."""
    facts: list[Detection] = []
    shown: list[str] = []
    read: Frame | None = None
    read_small: NDArray[np.float32] | None = None
    before_s = 0.0
    for frame in frames:
        small = thumbnail(frame.rgb())
        if read is None or read_small is None or is_different(read_small, small):
            if read is not None:
                change = compare(read.rgb(), frame.rgb())
                facts += [Detection(before_s, frame.time_s, text) for text in _movement(change)]
            read, read_small, shown = frame, small, _on_frame(frame)
        facts += [Detection(frame.time_s, frame.time_s, text) for text in shown]
        before_s = frame.time_s
    return facts


def _on_frame(frame: Frame) -> list[str]:
    rgb = frame.rgb()
    texts = [_told_group(group, frame) for group in group_text(read_screen(rgb))]
    faces = count_faces(rgb)
    if faces:
        texts.append(f"{faces} face{'s' if faces > 1 else ''} towards the camera")
    return texts


def _colours(clips: Sequence[Clip], frames: Sequence[Frame]) -> list[Detection]:
    """The main colours of each clip."""
    facts = []
    for clip in clips:
        total: Counter[str] = Counter()
        inside = [frame for frame in frames if clip.start_s <= frame.time_s <= clip.end_s]
        for frame in inside:
            total.update(dict(colour_shares(frame.rgb()[::4, ::4])))
        main = [name for name, share in total.most_common(3) if share > 0.15 * len(inside)]
        if main:
            facts.append(Detection(inside[0].time_s, inside[-1].time_s, f"mostly {' and '.join(main)}"))
    return facts


def group_text(pieces: Sequence[ScreenText]) -> list[list[ScreenText]]:
    """Pieces of text that stand in one column close above each other, top piece first: a name over
    a shirt, the lines of a slide."""
    groups: list[list[ScreenText]] = []
    for piece in pieces:
        for group in groups:
            last = group[-1]
            middle = (last.left + last.right) / 2, (piece.left + piece.right) / 2
            overlaps = piece.left <= middle[0] <= piece.right or last.left <= middle[1] <= last.right
            if overlaps and 0 <= piece.top - last.bottom + 0.02 < 0.34:
                group.append(piece)
                break
        else:
            groups.append([piece])
    return groups


def _told_group(group: Sequence[ScreenText], frame: Frame) -> str:
    told = [
        f"“{piece.text}” on {colour_behind(frame.rgb(), piece.left, piece.top, piece.right, piece.bottom)}"
        for piece in group
    ]
    return f"text at the {_place(group[0].left, group[-1].right, group[0].top)}: {' above '.join(told)}"


def _place(left: float, right: float, top: float) -> str:
    middle = (left + right) / 2
    across = "left" if middle < 0.36 else "right" if middle > 0.64 else "middle"
    return f"top {across}" if top < 0.25 else f"bottom {across}" if top > 0.75 else across


def _movement(change: Change) -> list[str]:
    if change.is_scene_change:
        return ["the whole picture changes (cuts, or a camera in motion)"]
    told = []
    for move in change.movements:
        across, down = move.to_x - move.from_x, move.to_y - move.from_y
        way = (
            ("to the right" if across > 0 else "to the left")
            if abs(across) > abs(down)
            else ("down" if down > 0 else "up")
        )
        told.append(f"something {move.colour} moves {way}")
    return told


def _join_runs(facts: Sequence[Detection], frame_times_s: Sequence[float]) -> list[Detection]:
    """One fact for each run of equal ones, in order of time. A run ends at a frame that does not show
    it."""
    follows = dict(pairwise(sorted(set(frame_times_s))))
    runs: dict[str, list[Detection]] = {}
    for fact in facts:
        told = runs.setdefault(fact.text, [])
        if told and fact.start_s <= follows.get(told[-1].end_s, told[-1].end_s):
            told[-1] = Detection(told[-1].start_s, max(told[-1].end_s, fact.end_s), fact.text)
        else:
            told.append(fact)
    return sorted((fact for told in runs.values() for fact in told), key=lambda fact: (fact.start_s, fact.end_s))

"""Cuts a long video into labelled clips of about a minute.

A cut goes where nobody speaks: into a gap between cues or, without subtitles, into the quietest
moment of the sound; and there, where one is near, onto a keyframe. A cut never falls inside a cue.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from pathlib import Path

import av
import av.error
import numpy as np

from longvideoagent.core.types import Clip, Subtitle, Timeline
from longvideoagent.media.container import open_container, origin_s

CLIP_S = 60.0
"""Length aimed at (TVQA's clips are about a minute)."""
REACH = 0.4
"""A cut lies within this share of CLIP_S around its aim, unless a cue covers all of that."""
LONGEST_CUE_S = 30.0
"""A longer cue is no utterance (a credit shown throughout, say) and does not hold up a cut."""
LOUDNESS_STEP_S = 0.5

Span = tuple[float, float]


def build_timeline(
    duration_s: float,
    subtitles: Sequence[Subtitle] = (),
    keyframes_s: Sequence[float] = (),
    quiet: Sequence[Span] = (),
) -> Timeline:
    """Clips c01, c02, … that cover 0 to ``duration_s``, each with the lines that start in it.

    ``subtitles`` must be in order of time. ``quiet`` are spans without sound, used where a stretch
    has no subtitles.
    """
    busy = _merge([(line.start_s, line.end_s) for line in subtitles if line.end_s - line.start_s <= LONGEST_CUE_S])
    cuts = [0.0]
    while (clips_left := round((duration_s - cuts[-1]) / CLIP_S)) >= 2:
        aim_s = cuts[-1] + (duration_s - cuts[-1]) / clips_left
        cut_s = _next_cut(aim_s, busy, keyframes_s, quiet)
        if cut_s >= duration_s:  # speech without a pause up to the end
            break
        cuts.append(cut_s)
    digits = max(2, len(str(len(cuts))))
    starts = [line.start_s for line in subtitles]
    clips = []
    for number, (start_s, end_s) in enumerate(zip(cuts, [*cuts[1:], duration_s], strict=True), start=1):
        first = bisect.bisect_left(starts, start_s) if number > 1 else 0
        last = bisect.bisect_left(starts, end_s) if number < len(cuts) else len(starts)
        clips.append(Clip(f"c{number:0{digits}}", start_s, end_s, tuple(subtitles[first:last])))
    return Timeline(tuple(clips))


def _merge(spans: Sequence[Span]) -> list[Span]:
    """Ordered spans with the overlapping ones joined."""
    merged: list[Span] = []
    for start_s, end_s in spans:
        if merged and start_s < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_s, merged[-1][1]))
        else:
            merged.append((start_s, end_s))
    return merged


def _next_cut(aim_s: float, busy: Sequence[Span], keyframes_s: Sequence[float], quiet: Sequence[Span]) -> float:
    """The best moment around ``aim_s``: in a long pause, near the aim, on a keyframe."""
    low_s, high_s = aim_s - REACH * CLIP_S, aim_s + REACH * CLIP_S
    gaps = _gaps(busy, low_s, high_s)
    if not gaps:  # speech without a pause: the end of the cue that covers the window
        return next(end_s for start, end_s in busy if end_s >= high_s > start)
    pauses = [span for gap in gaps for span in _overlaps(quiet, gap)] or gaps

    def worth(span: Span) -> float:
        off_s = max(span[0] - aim_s, aim_s - span[1], 0.0)
        return min(span[1] - span[0], 4.0) - 6.0 * off_s / CLIP_S

    pause = max(pauses, key=worth)
    middle_s = min(max(aim_s, pause[0]), pause[1]) if pause[1] - pause[0] > 8.0 else (pause[0] + pause[1]) / 2
    return _nearest(keyframes_s, middle_s, pause)


def _gaps(busy: Sequence[Span], low_s: float, high_s: float) -> list[Span]:
    """Spans of [low_s, high_s] that no cue covers; two cues that touch leave a span of length 0."""
    gaps: list[Span] = []
    cursor_s = low_s
    first = max(0, bisect.bisect_right(busy, (low_s, float("inf"))) - 1)
    for start_s, end_s in busy[first:]:
        if start_s > high_s:
            break
        if start_s >= cursor_s:
            gaps.append((cursor_s, start_s))
        cursor_s = max(cursor_s, end_s)
    if cursor_s <= high_s:
        gaps.append((cursor_s, high_s))
    return gaps


def _overlaps(quiet: Sequence[Span], gap: Span) -> list[Span]:
    """The parts of quiet spans that lie in ``gap``."""
    parts = [(max(start_s, gap[0]), min(end_s, gap[1])) for start_s, end_s in quiet]
    return [(start_s, end_s) for start_s, end_s in parts if start_s < end_s]


def _nearest(keyframes_s: Sequence[float], time_s: float, span: Span) -> float:
    """The keyframe of ``span`` nearest to ``time_s``, or ``time_s`` where there is none."""
    after = bisect.bisect_left(keyframes_s, time_s)
    near = [key_s for key_s in keyframes_s[max(0, after - 1) : after + 1] if span[0] <= key_s <= span[1]]
    return min(near, key=lambda key_s: abs(key_s - time_s), default=time_s)


def find_silence(path: Path) -> list[Span]:
    """Spans whose sound is far below the file's median loudness; empty where there is no sound."""
    loudness = _loudness(path)
    if not loudness:
        return []
    steps = sorted(loudness)
    values = np.array([loudness[step] for step in steps])
    silent = values < 0.25 * float(np.median(values)) + 1e-4
    return _merge_touching([step * LOUDNESS_STEP_S for step, is_silent in zip(steps, silent, strict=True) if is_silent])


def _merge_touching(starts_s: Sequence[float]) -> list[Span]:
    spans: list[Span] = []
    for start_s in starts_s:
        if spans and start_s - spans[-1][1] < LOUDNESS_STEP_S / 2:
            spans[-1] = (spans[-1][0], start_s + LOUDNESS_STEP_S)
        else:
            spans.append((start_s, start_s + LOUDNESS_STEP_S))
    return spans


def _loudness(path: Path) -> dict[int, float]:
    """Mean absolute level, 0 to 1, of each half second that has sound."""
    totals: dict[int, list[float]] = {}
    if path.is_dir():
        return {}
    with open_container(path) as container:
        if not container.streams.audio:
            return {}
        first_s = origin_s(container)
        resamplers: dict[tuple[str, str, int], av.AudioResampler] = {}
        try:
            for frame in container.decode(container.streams.audio[0]):
                if frame.time is None:
                    continue
                step = int((frame.time - first_s) / LOUDNESS_STEP_S)
                sounds = frame.format.name, frame.layout.name, frame.sample_rate  # may change within a file
                if sounds not in resamplers:
                    resamplers[sounds] = av.AudioResampler(format="s16", layout="mono", rate=8000)
                for part in resamplers[sounds].resample(frame):
                    level = float(np.abs(part.to_ndarray()[0, ::4].astype(np.int32)).mean()) / 32768
                    totals.setdefault(step, []).append(level)
        except av.error.FFmpegError:
            pass  # damaged sound ends the search for silence, nothing else
    return {step: sum(levels) / len(levels) for step, levels in totals.items()}

"""Cut a long video into labelled clips of about a minute.

A cut is placed where nobody speaks: in a gap between cues or, without subtitles, in a silence; and there on a keyframe,
if one is near. A cut is never inside a cue.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from longvideoagent.core.types import Clip, Subtitle, Timeline, TimeSpan
from longvideoagent.media.sound import decode_sound
from longvideoagent.media.text_language import detect_language

CLIP_S = 60.0
"""Target length (TVQA's clips are about a minute)."""
MAX_SHIFT_FRACTION = 0.4
"""A cut is at most this fraction of CLIP_S away from its target, unless a cue covers all of that range."""
MAX_CUE_S = 30.0
"""A longer cue is not an utterance (but a credit shown throughout, for example) and does not prevent a cut."""
MAX_CLIPS = 10_000
"""A longer video has longer clips."""
LOUDNESS_STEP_S, SOUND_HZ = 0.5, 8000


def build_timeline(
    duration_s: float,
    subtitles: Sequence[Subtitle] = (),
    keyframes_s: Sequence[float] = (),
    silence: Sequence[TimeSpan] = (),
) -> Timeline:
    """Return clips c01, c02, … that cover 0 to ``duration_s``, each with the subtitles that start in it.

    ``subtitles`` must be in order of time. ``silence`` has the spans without sound, used where there are no subtitles.
    """
    return timeline_of_cuts(find_cuts(duration_s, subtitles, keyframes_s, silence), subtitles)


def find_cuts(
    duration_s: float,
    subtitles: Sequence[Subtitle] = (),
    keyframes_s: Sequence[float] = (),
    silence: Sequence[TimeSpan] = (),
) -> tuple[float, ...]:
    """The starts of the clips of ``build_timeline``, and the end of the last one."""
    speech = _merge([TimeSpan(cue.start_s, cue.end_s) for cue in subtitles if cue.end_s - cue.start_s <= MAX_CUE_S])
    clip_s = max(CLIP_S, duration_s / MAX_CLIPS)
    cuts = [0.0]
    while (clips_left := round((duration_s - cuts[-1]) / clip_s)) >= 2:
        target_s = cuts[-1] + (duration_s - cuts[-1]) / clips_left
        cut_s = _next_cut(target_s, speech, keyframes_s, silence)
        if cut_s >= duration_s:  # speech without a pause up to the end of the video
            break
        cuts.append(cut_s)
    return (*cuts, duration_s)


def timeline_of_cuts(cuts_s: Sequence[float], subtitles: Sequence[Subtitle], language: str = "") -> Timeline:
    """The clips between these cuts, which ascend from 0 to the end of the video, with the subtitles that start in each;
    these are in order of time. Their language is detected unless it is given."""
    num_clips = len(cuts_s) - 1
    digits = max(2, len(str(num_clips)))
    starts = [cue.start_s for cue in subtitles]
    clips = []
    for number, (start_s, end_s) in enumerate(pairwise(cuts_s), start=1):
        first = bisect.bisect_left(starts, start_s) if number > 1 else 0
        last = bisect.bisect_left(starts, end_s) if number < num_clips else len(starts)
        clips.append(Clip(f"c{number:0{digits}}", start_s, end_s, tuple(subtitles[first:last])))
    return Timeline(tuple(clips), language=language or detect_language([cue.text for cue in subtitles]))


def _merge(spans: Sequence[TimeSpan]) -> list[TimeSpan]:
    """Join overlapping spans; ``spans`` are in order."""
    merged: list[TimeSpan] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last is not None and span.start_s < last.end_s:
            merged[-1] = TimeSpan(last.start_s, max(span.end_s, last.end_s))
        else:
            merged.append(span)
    return merged


def _next_cut(
    target_s: float, speech: Sequence[TimeSpan], keyframes_s: Sequence[float], silence: Sequence[TimeSpan]
) -> float:
    """The best time around ``target_s``: in a long pause, near the target, on a keyframe."""
    low_s, high_s = target_s - MAX_SHIFT_FRACTION * CLIP_S, target_s + MAX_SHIFT_FRACTION * CLIP_S
    gaps = _gaps(speech, low_s, high_s)
    if not gaps:  # speech without a pause: the end of the cue that covers the window
        return next(end_s for start, end_s in speech if end_s >= high_s > start)
    pauses = [span for gap in gaps for span in _overlaps(silence, gap)] or gaps

    def pause_score(span: TimeSpan) -> float:
        off_s = max(span.start_s - target_s, target_s - span.end_s, 0.0)
        return min(span.end_s - span.start_s, 4.0) - 6.0 * off_s / CLIP_S

    pause = max(pauses, key=pause_score)
    if pause.end_s - pause.start_s > 8.0:
        middle_s = min(max(target_s, pause.start_s), pause.end_s)
    else:
        middle_s = (pause.start_s + pause.end_s) / 2
    return _nearest(keyframes_s, middle_s, pause)


def _gaps(speech: Sequence[TimeSpan], low_s: float, high_s: float) -> list[TimeSpan]:
    """Spans of [low_s, high_s] that no cue covers; two cues that touch leave a span of length 0."""
    gaps: list[TimeSpan] = []
    cursor_s = low_s
    first = max(0, bisect.bisect_right(speech, (low_s, float("inf"))) - 1)
    for start_s, end_s in speech[first:]:
        if start_s > high_s:
            break
        if start_s >= cursor_s:
            gaps.append(TimeSpan(cursor_s, start_s))
        cursor_s = max(cursor_s, end_s)
    if cursor_s <= high_s:
        gaps.append(TimeSpan(cursor_s, high_s))
    return gaps


def _overlaps(silence: Sequence[TimeSpan], gap: TimeSpan) -> list[TimeSpan]:
    """The parts of silent spans that are in ``gap``."""
    parts = [TimeSpan(max(span.start_s, gap.start_s), min(span.end_s, gap.end_s)) for span in silence]
    return [part for part in parts if part.start_s < part.end_s]


def _nearest(keyframes_s: Sequence[float], time_s: float, span: TimeSpan) -> float:
    """The keyframe of ``span`` nearest to ``time_s``, or ``time_s`` if it has none."""
    after = bisect.bisect_left(keyframes_s, time_s)
    near = [key_s for key_s in keyframes_s[max(0, after - 1) : after + 1] if span.start_s <= key_s <= span.end_s]
    return min(near, key=lambda key_s: abs(key_s - time_s), default=time_s)


def find_silence(path: Path) -> list[TimeSpan]:
    """Spans in seconds whose sound is far below the file's median loudness; empty if there is no sound."""
    loudness = _loudness(path)
    if not loudness:
        return []
    steps = sorted(loudness)
    values = np.array([loudness[step] for step in steps])
    silent = values < 0.25 * float(np.median(values)) + 1e-4
    return _merge_touching([step * LOUDNESS_STEP_S for step, is_silent in zip(steps, silent, strict=True) if is_silent])


def _merge_touching(starts_s: Sequence[float]) -> list[TimeSpan]:
    spans: list[TimeSpan] = []
    for start_s in starts_s:
        if spans and start_s - spans[-1].end_s < LOUDNESS_STEP_S / 2:
            spans[-1] = TimeSpan(spans[-1].start_s, start_s + LOUDNESS_STEP_S)
        else:
            spans.append(TimeSpan(start_s, start_s + LOUDNESS_STEP_S))
    return spans


def _loudness(path: Path) -> dict[int, float]:
    """Mean absolute level, 0 to 1, by the number of the half second."""
    totals: dict[int, list[float]] = {}
    if path.is_dir():
        return {}
    for sound in decode_sound(path, SOUND_HZ):
        level = float(np.abs(sound.samples[::4].astype(np.int32)).mean()) / 32768
        totals.setdefault(int(sound.start_s / LOUDNESS_STEP_S), []).append(level)
    return {step: sum(levels) / len(levels) for step, levels in totals.items()}

"""The queries ``sounds`` and ``objects``: what detectors found, all of it, at a time, or what some words name."""

from __future__ import annotations

from collections.abc import Sequence

from longvideoagent.core.timefmt import format_timestamp, times_in_s
from longvideoagent.core.types import Evidence, Timeline, TimelineResult
from longvideoagent.index.event_labels import matching_labels
from longvideoagent.index.missing import missing_part

MAX_SPANS_SHOWN, MAX_LABELS_SHOWN = 20, 40
NEAR_S = 1.0
"""How far from a time a span may be: a time as players show it stands for the second that begins there, and the ends
of spans are only as exact as the windows or frames of a detector."""


def sounds(words: str, timeline: Timeline) -> TimelineResult:
    """The sounds that words name, or those at a time; without words, all."""
    if timeline.sounds is None:
        return missing_part("sounds")
    return _found(words, timeline.sounds, "sound")


def objects(words: str, timeline: Timeline) -> TimelineResult:
    """The objects that words name, or those at a time; without words, all."""
    if timeline.objects is None:
        return missing_part("objects")
    return _found(words, timeline.objects, "object")


def _found(words: str, every: Sequence[Evidence], noun: str) -> TimelineResult:
    if not every:
        return TimelineResult(f"no {noun} was detected in the video", is_found=False)
    if times := times_in_s(words):
        near = [each for each in every if each.start_s - NEAR_S <= times[0] <= each.end_s + NEAR_S]
        when = format_timestamp(times[0])
        if not near:
            return TimelineResult(f"no {noun} was detected at {when}", is_found=False)
        return TimelineResult(_lines(f"at {when}", near), _labels(near), tuple(near))
    if not words:
        return TimelineResult(_lines(_num_spans(every), every), _labels(every), tuple(every))
    named = matching_labels(words, {each.label for each in every})
    found = [each for each in every if each.label in named]
    if not found:
        text = f"no {noun} that {words!r} names was detected; detected: {_labels(every)}"
        return TimelineResult(text, is_found=False)
    shown = ", ".join(span(each) for each in found[:MAX_SPANS_SHOWN])
    more = len(found) - MAX_SPANS_SHOWN
    value = f"{shown}{f' and {more} more times' if more > 0 else ''}"
    return TimelineResult(_lines(f"{', '.join(sorted(named))}: {_num_spans(found)}", found), value, tuple(found))


def span(event: Evidence) -> str:
    """When an event is, such as ``0:57`` or ``0:57 to 1:10``."""
    start, end = format_timestamp(event.start_s), format_timestamp(event.end_s)
    return start if start == end else f"{start} to {end}"


def _labels(events: Sequence[Evidence]) -> str:
    """Their labels, those that last longest first."""
    lasting: dict[str, float] = {}
    for each in events:
        label = each.label
        lasting[label] = lasting.get(label, 0.0) + each.end_s - each.start_s
    ordered = sorted(lasting, key=lambda label: -lasting[label])
    more = len(ordered) - MAX_LABELS_SHOWN
    return f"{', '.join(ordered[:MAX_LABELS_SHOWN])}{f' and {more} more' if more > 0 else ''}"


def _num_spans(events: Sequence[Evidence]) -> str:
    return f"{len(events)} span{'' if len(events) == 1 else 's'}"


def _lines(summary: str, events: Sequence[Evidence]) -> str:
    lines = [f"[{span(each)}] {each.text}" for each in events[:MAX_SPANS_SHOWN]]
    if len(events) > MAX_SPANS_SHOWN:
        lines.append(f"and {len(events) - MAX_SPANS_SHOWN} more")
    return "\n".join([summary, *lines])

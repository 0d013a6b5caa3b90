"""The queries ``sounds`` and ``objects``: what detectors found, all of it, at a time, or what some words name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp, times_in_s
from longvideoagent.core.types import Evidence, Timeline, TimelineResult
from longvideoagent.index.event_labels import covering_labels, matching_labels
from longvideoagent.index.events import EventKind
from longvideoagent.index.missing import missing_part

MAX_SPANS_SHOWN, MAX_LABELS_SHOWN = 20, 40
NEAR_S = 1.0
"""How far from a time a span may be: a time as players show it stands for the second that begins there, and the ends
of spans are only as exact as the windows or frames of a detector."""

NOT_DETECTED = "none"
"""The value of a query for what a detector knows and did not find."""


def sounds(words: str, timeline: Timeline) -> TimelineResult:
    """The sounds that words name, or those at a time; without words, all."""
    if timeline.sounds is None:
        return missing_part("sounds")
    return _found(words, timeline.sounds, EventKind.SOUND) or _not_found(words, timeline, EventKind.SOUND)


def objects(words: str, timeline: Timeline) -> TimelineResult:
    """The objects that words name, or those at a time; without words, all."""
    if timeline.objects is None:
        return missing_part("objects")
    return _found(words, timeline.objects, EventKind.OBJECT) or _not_found(words, timeline, EventKind.OBJECT)


def absence(thing: str, timeline: Timeline, kind: EventKind) -> Evidence | None:
    """That a detector found nothing which some words name, though it knows that.

    Args:
        thing: What is asked for, such as ``a barking dog``.
        timeline: That of the video.
        kind: Whether it is heard or seen.

    Returns:
        A span of the whole video in which there are 0 of the label that covers the thing; None if no detector has
        searched, if it found what the words name, or if it knows no such label.
    """
    events, labels = _searched(timeline, kind)
    if events is None or matching_labels(thing, {each.label for each in events}):
        return None
    covering = covering_labels(thing, labels)
    if not covering:
        return None
    return _absent(min(covering, key=lambda each: (len(each), each)), timeline, kind)


def absence_of_all(timeline: Timeline, kind: EventKind) -> Evidence | None:
    """That a detector found nothing at all: a span as that of ``absence``, labelled ``521 sounds that the detector
    knows``. None if none has searched, if it found something, or if it is not known what it can find."""
    events, labels = _searched(timeline, kind)
    if events is None or events or not labels:
        return None
    return _absent(f"{len(labels)} {plural(kind, len(labels))} that the detector knows", timeline, kind)


def _searched(timeline: Timeline, kind: EventKind) -> tuple[Sequence[Evidence] | None, Sequence[str]]:
    """What a detector found, None if none has searched, and all labels that it knows."""
    if kind is EventKind.SOUND:
        return timeline.sounds, timeline.sound_labels
    return timeline.objects, timeline.object_labels


def _absent(label: str, timeline: Timeline, kind: EventKind) -> Evidence:
    clip = timeline.clips[0]
    start_s, end_s = clip.start_s, timeline.duration_s
    perceived: Literal["sound", "frame"] = "sound" if kind is EventKind.SOUND else "frame"
    text = f"not {'heard' if kind is EventKind.SOUND else 'seen'}: {label}"
    return Evidence(clip.label, start_s, end_s, perceived, start_s, text, clip.video, label, num_at_once=0)


def _not_found(words: str, timeline: Timeline, kind: EventKind) -> TimelineResult:
    events, _ = _searched(timeline, kind)
    detected = f"detected: {_labels(events)}" if events else f"no {kind} was detected in the video"
    if not words or times_in_s(words):
        nothing = absence_of_all(timeline, kind)
        return TimelineResult(detected, NOT_DETECTED if nothing else "", (nothing,) if nothing else (), is_found=False)
    absent = absence(words, timeline, kind)
    if absent is not None:
        text = f"no {kind} that {words!r} names was detected, though the detector knows {absent.label}; {detected}"
        return TimelineResult(text, NOT_DETECTED, (absent,), is_found=False)
    unknown = f"no {kind} that {words!r} names was detected; " if events else ""
    return TimelineResult(f"{unknown}{detected}", is_found=False)


def _found(words: str, every: Sequence[Evidence], kind: EventKind) -> TimelineResult | None:
    """The events that words or a time ask for; None if there are none at all, or none that words name."""
    if not every:
        return None
    if times := times_in_s(words):
        near = [each for each in every if each.start_s - NEAR_S <= times[0] <= each.end_s + NEAR_S]
        when = format_timestamp(times[0])
        if not near:
            return TimelineResult(f"no {kind} was detected at {when}", is_found=False)
        return TimelineResult(_lines(f"at {when}", near), _labels(near), tuple(near))
    if not words:
        return TimelineResult(_lines(_num_spans(every), every), _labels(every), tuple(every))
    named = matching_labels(words, {each.label for each in every})
    found = [each for each in every if each.label in named]
    if not found:
        return None
    shown = ", ".join(span(each) for each in found[:MAX_SPANS_SHOWN])
    more = len(found) - MAX_SPANS_SHOWN
    others = f" and {more} more {plural('time', more)}" if more > 0 else ""
    value = f"{shown}{others}"
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
    return f"{len(events)} {plural('span', len(events))}"


def _lines(summary: str, events: Sequence[Evidence]) -> str:
    lines = [f"[{span(each)}] {each.text}" for each in events[:MAX_SPANS_SHOWN]]
    if len(events) > MAX_SPANS_SHOWN:
        lines.append(f"and {len(events) - MAX_SPANS_SHOWN} more")
    return "\n".join([summary, *lines])

"""Find the lines of times in the lines of an SRT or WebVTT file, and the numbers and names before them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from itertools import accumulate, pairwise
from typing import NamedTuple

from longvideoagent.media.subtitles.cue import counted
from longvideoagent.media.subtitles.timestamps import (
    ARROW_HEADS,
    TimingLine,
    frame_rate,
    has_arrow,
    parse_timing_line,
)

_USUAL = re.compile(
    r"(?:(\d{2,4}):)?(\d\d):(\d\d)[,.](\d{3})[ \t]{1,9}-->[ \t]{1,9}"
    r"(?:(\d{2,4}):)?(\d\d):(\d\d)[,.](\d{3})((?:[ \t].*)?)"
)
"""The line of times of nearly all files. The tolerant grammar takes ten times as long."""


MAX_GAP_LINES = 3
"""Between the number of a cue and its times, where line ends were multiplied."""


class Timing(NamedTuple):
    """A line of times, by its index."""

    line_index: int
    start_s: float | None
    end_s: float | None
    trailing: str = ""
    """What follows the times."""


class FoundTimings(NamedTuple):
    """All lines of times of a file, and what had to be assumed about them."""

    timings: list[Timing]
    warnings: list[str]


class FoundNumbers(NamedTuple):
    """The lines of a file in which the number of a cue stands directly before its times, and the lines of times."""

    lines: list[str]
    timings: list[Timing]


class _Label(Enum):
    """What the line before a line of times looks like."""

    NONE = auto()
    NUMBER = auto()
    NUMBER_AFTER_TEXT = auto()
    """Without a blank line before it."""
    NAME = auto()
    """Any other line after a blank one."""


def find_timings(text: str, lines: Sequence[str], *, is_webvtt: bool) -> FoundTimings:
    """Find all lines of times in the lines of a text; one that could be text as well counts only where a cue may
    begin."""
    heads = [head for head in ARROW_HEADS if head in text]
    candidates = (index for index, line in enumerate(lines) if any(head in line for head in heads))
    if heads == [">"]:
        candidates = (index for index, line in enumerate(lines) if ">" in line)  # several times as fast
    timings: list[Timing] = []
    unusual: list[tuple[int, TimingLine]] = []
    for index in candidates:
        match = _USUAL.fullmatch(lines[index]) if "-->" in lines[index] else None
        if match is not None:
            *numbers, trailing = match.groups(default="0")
            hours, minutes, seconds, ms, end_hours, end_minutes, end_seconds, end_ms = map(int, numbers)
            start_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
            end_ms += ((end_hours * 60 + end_minutes) * 60 + end_seconds) * 1000
            timings.append(Timing(index, start_ms / 1000, end_ms / 1000, trailing))
        elif timing := parse_timing_line(lines[index]):
            unusual.append((index, timing))
    if not unusual:
        return FoundTimings(timings, [])
    has_usual = bool(timings) or any(timing.is_canonical for _, timing in unusual)
    kept = [
        (index, timing)
        for index, timing in unusual
        if timing.is_canonical or _may_begin_cue(lines, index, timing, is_webvtt=is_webvtt, has_usual=has_usual)
    ]
    clocks = [clock for _, timing in kept for clock in (timing.start, timing.end) if clock is not None]
    rate = frame_rate(clocks)
    for index, timing in kept:
        start_s, end_s = (clock and clock.at(rate) for clock in (timing.start, timing.end))
        timings.append(Timing(index, start_s, end_s, timing.trailing))
    num_frames = sum(clock.has_frames for clock in clocks)
    warnings = counted(num_frames, "time has", "times have")
    return FoundTimings(
        sorted(timings), [f"{warning} frames, which were read as {rate} per second" for warning in warnings]
    )


def _may_begin_cue(lines: Sequence[str], index: int, timing: TimingLine, *, is_webvtt: bool, has_usual: bool) -> bool:
    """Whether a line of unusual form stands where lines of times do."""
    before = lines[index - 1].strip() if index else ""
    if before.isdecimal():
        return timing.is_readable or "-->" in lines[index] or any(map(str.isdecimal, lines[index]))
    is_after_gap = not before
    if is_webvtt and before and not has_arrow(before):
        is_after_gap = index == 1 or not lines[index - 2].strip()
    if not is_after_gap:
        return False
    if timing.is_readable:
        start = timing.start
        return not has_usual or (start is not None and (start.has_fraction or start.has_frames))
    return ":" in lines[index] and any(map(str.isdecimal, lines[index])) and len(lines[index].split()) <= 4


def is_usual(line: str) -> bool:
    """Whether a line of times has the form of nearly all files."""
    return _USUAL.fullmatch(line) is not None


def join_numbers(lines: list[str], timings: Sequence[Timing]) -> FoundNumbers:
    """Remove the blank lines between the numbers of cues and their lines of times, in a file that has them in most
    cues, as where every line end was doubled. Other files stay as they are."""
    gaps = [_gap_after_number(lines, timing.line_index) for timing in timings]
    numbers = [int(lines[gap.start - 1].strip()[:18]) for gap in gaps if gap]
    num_counted = sum(later == number + 1 for number, later in pairwise(numbers))
    if not gaps[0] or 2 * len(numbers) <= len(timings) or 2 * num_counted < len(numbers) - 1:
        return FoundNumbers(lines, list(timings))
    removed = {index for gap in gaps for index in gap}
    kept = [line for index, line in enumerate(lines) if index not in removed]
    removed_before = [0, *accumulate(map(len, gaps))][1:]
    moved = [
        timing._replace(line_index=timing.line_index - num) for timing, num in zip(timings, removed_before, strict=True)
    ]
    return FoundNumbers(kept, moved)


def _gap_after_number(lines: Sequence[str], index: int) -> range:
    """The blank lines between a number and the line of times of this index; empty if there is no such number."""
    before = index - 1
    while before > max(0, index - MAX_GAP_LINES - 1) and not lines[before].strip():
        before -= 1
    is_number = before >= 0 and lines[before].strip().isdecimal() and (before == 0 or not lines[before - 1].strip())
    return range(before + 1, index) if is_number else range(0)


def count_labels(lines: Sequence[str], timings: Sequence[Timing], *, is_webvtt: bool) -> list[int]:
    """For each line of times the number of lines before it, 0 or 1, that number or name its cue.

    A number is a label if most cues of the file have one and it is in its place, or if it continues the count; else it
    is the last line of the cue before. A name is one in WebVTT, or if most cues have one.
    """
    labels = [_label(lines, timing.line_index) for timing in timings]
    num_numbers = sum(label in (_Label.NUMBER, _Label.NUMBER_AFTER_TEXT) for label in labels)
    are_numbered = 2 * num_numbers > len(labels)
    are_named = is_webvtt or 2 * labels.count(_Label.NAME) > len(labels)
    are_glued = labels.count(_Label.NUMBER_AFTER_TEXT) > labels.count(_Label.NUMBER)
    counts: list[int] = []
    number = 0
    for label, timing in zip(labels, timings, strict=True):
        if label is _Label.NONE or (label is _Label.NAME and not are_named):
            counts.append(0)
            continue
        is_label = label is _Label.NAME
        if label is not _Label.NAME:
            found = int(lines[timing.line_index - 1].strip()[:18])
            is_expected = found == number + 1
            is_first = not counts
            if label is _Label.NUMBER:
                is_label = are_numbered or is_webvtt or is_expected or is_first
            else:
                is_label = are_numbered and (is_expected or are_glued)
            number = found if is_label else number
        counts.append(int(is_label))
    return counts


def _label(lines: Sequence[str], index: int) -> _Label:
    before = lines[index - 1].strip() if index else ""
    if not before or has_arrow(before) or before.startswith(("WEBVTT", "X-TIMESTAMP-MAP")):
        return _Label.NONE
    is_after_gap = index == 1 or not lines[index - 2].strip()
    if before.isdecimal():
        return _Label.NUMBER if is_after_gap else _Label.NUMBER_AFTER_TEXT
    return _Label.NAME if is_after_gap else _Label.NONE

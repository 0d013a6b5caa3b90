"""Subtitles in order of time, each text once and with an end after its start."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.media.subtitles.cue import Cue, counted
from longvideoagent.media.subtitles.repetition import merge_repeats

REPAIRED_S = 3.0
"""Length given to a cue whose end is missing or not after its start, unless the next cue starts sooner."""


class ParsedSubtitles(NamedTuple):
    """Subtitles in order of time, and what was repaired or ignored."""

    subtitles: list[Subtitle]
    warnings: list[str]


def repair_timing(subtitles: list[Subtitle]) -> ParsedSubtitles:
    """Sort subtitles by time, merge those that repeat a text without interruption, and give each an end after its
    start, with a warning for each kind of repair."""
    return repair_cues([Cue(line.start_s, line.end_s, line.text) for line in subtitles])


def repair_cues(cues: Sequence[Cue]) -> ParsedSubtitles:
    """The subtitles of cues in the order of their file.

    A cue without a readable start is placed between its neighbours. A line that one cue takes over from the cue before
    appears once. Every kind of repair is reported with the number of cues.

    Args:
        cues: Cues with text, of which at least one has a start.

    Returns:
        Subtitles in order of time, and the warnings.
    """
    warnings: list[str] = []
    placed = cues if all(cue.start_s is not None for cue in cues) else _place_unread(cues)
    num_unread = sum(cue.start_s is None for cue in cues) if placed is not cues else 0
    warnings += counted(
        num_unread,
        "subtitle cue has times that cannot be read and was placed between the cues around it",
        "subtitle cues have times that cannot be read and were placed between the cues around them",
    )
    starts_s = [cue.start_s or 0.0 for cue in placed]
    if starts_s != sorted(starts_s):
        placed = sorted(placed, key=_start_s)
        warnings.append("subtitle cues were out of order and were sorted")
    num_negative = bisect_left(placed, 0.0, key=_start_s)
    warnings += counted(
        num_negative,
        "subtitle cue starts before the video and was moved to its start",
        "subtitle cues start before the video and were moved to its start",
    )
    merged = merge_repeats(placed)
    warnings += counted(
        merged.num_merged,
        "subtitle cue repeated lines of a cue before it; each line is kept once, with its first time",
        "subtitle cues repeated lines of a cue before them; each line is kept once, with its first time",
    )
    return _with_ends(merged.cues, warnings)


def _place_unread(cues: Sequence[Cue]) -> list[Cue]:
    """The cues, with a start and an end between those of its neighbours for each that has no start."""
    placed: list[Cue] = []
    following_s = [0.0] * len(cues)
    next_s = None
    for index in range(len(cues) - 1, -1, -1):
        start_s = cues[index].start_s
        next_s = next_s if start_s is None else start_s
        following_s[index] = float("inf") if next_s is None else next_s
    previous_s = None
    for cue, next_start_s in zip(cues, following_s, strict=True):
        if cue.start_s is not None:
            previous_s = max(cue.start_s, cue.end_s or 0.0)
            placed.append(cue)
            continue
        start_s = next_start_s - REPAIRED_S if previous_s is None else min(previous_s, next_start_s)
        if cue.end_s is not None:
            start_s = max(start_s, cue.end_s - REPAIRED_S)
        start_s = max(0.0, start_s)
        end_s = min(start_s + REPAIRED_S, next_start_s) if cue.end_s is None else cue.end_s
        placed.append(Cue(start_s, end_s if end_s > start_s else start_s + REPAIRED_S, cue.text))
    return placed


def _with_ends(cues: list[Cue], warnings: list[str]) -> ParsedSubtitles:
    subtitles: list[Subtitle] = []
    num_open = num_backward = 0
    for index, (start_s, end_s, text) in enumerate(cues):
        start_s = 0.0 if start_s is None or start_s < 0 else start_s
        if end_s is None or end_s <= start_s:
            num_open += end_s is None
            num_backward += end_s is not None
            gap_s = _start_s(cues[index + 1]) - start_s if index + 1 < len(cues) else REPAIRED_S
            end_s = start_s + (min(REPAIRED_S, gap_s) if gap_s > 0 else REPAIRED_S)
        subtitles.append(Subtitle(start_s, end_s, text.replace("\n", " ")))
    warnings += counted(
        num_open, "subtitle cue has no end and was given one", "subtitle cues have no end and were given one"
    )
    warnings += counted(
        num_backward,
        "subtitle cue ended before it started and was given a length",
        "subtitle cues ended before they started and were given a length",
    )
    return ParsedSubtitles(subtitles, warnings)


def _start_s(cue: Cue) -> float:
    return cue.start_s or 0.0

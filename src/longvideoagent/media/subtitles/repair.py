"""Subtitles in order of time, each with an end after its start."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from longvideoagent.core.types import Subtitle

REPAIRED_S = 3.0
"""Length given to a cue whose end is not after its start, unless the next cue starts sooner."""


class ParsedSubtitles(NamedTuple):
    """Subtitles in order of time, and what was repaired or ignored."""

    subtitles: list[Subtitle]
    warnings: list[str]


def repair_timing(subtitles: list[Subtitle]) -> ParsedSubtitles:
    """Sort subtitles by time and give each an end after its start, with a warning for each kind of repair."""
    repaired: list[str] = []
    ordered = sorted(subtitles, key=lambda subtitle: subtitle.start_s)
    if ordered != subtitles:
        repaired.append("subtitle cues were out of order and were sorted")
    num_backward = 0
    for index, line in enumerate(ordered):
        start_s = max(0.0, line.start_s)
        end_s = line.end_s
        if end_s <= start_s:
            num_backward += 1
            following_s = ordered[index + 1].start_s if index + 1 < len(ordered) else start_s + REPAIRED_S
            gap_s = following_s - start_s
            end_s = start_s + (min(REPAIRED_S, gap_s) if gap_s > 0 else REPAIRED_S)
        ordered[index] = replace(line, start_s=start_s, end_s=end_s)
    if num_backward:
        repaired.append(f"{num_backward} subtitle cues ended before they started and were given a length")
    return ParsedSubtitles(ordered, repaired)

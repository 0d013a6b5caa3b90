"""Read SubViewer (SBV and SUB): a line of two times with a comma between them, and the text after it."""

from __future__ import annotations

import re
from typing import NamedTuple

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.cue import MAX_CUES, Cue, ReadCues, counted
from longvideoagent.media.subtitles.cut_off import CUT_OFF, num_cut_lines
from longvideoagent.media.subtitles.markup import tagged_text
from longvideoagent.media.subtitles.timestamps import parse_clock

_TIME = r"\d{1,4}:\d\d:\d\d(?:[.:;]\d{1,6})?"
SBV_LINE = re.compile(rf"^[ \t]{{0,9}}-?{_TIME}[ \t]{{0,9}},[ \t]{{0,9}}(?:{_TIME})?[ \t]{{0,9}}$", re.MULTILINE)
"""A line that gives the times of a cue."""
_UNREAD = re.compile(r"[ \t]*(?=\S*\d)\S{0,20}:\S{1,20},\S{0,20}:\S{0,20}[ \t]*")
_LINE_BREAK = re.compile(r"\[br\]", re.IGNORECASE)


class _Timing(NamedTuple):
    line_index: int
    start_s: float | None
    end_s: float | None


def read_sbv(text: str) -> ReadCues:
    """Read the cues. Raises DataError if there are none."""
    lines = text.rstrip().split("\n")
    timings = [timing for index in range(len(lines)) if (timing := _timing(lines, index))]
    if not timings:
        raise DataError("no cue in it; check that the file is complete")
    num_cut = num_cut_lines(lines, timings[-1].line_index + 1, None)
    ends = [*(timing.line_index for timing in timings[1:]), len(lines) - num_cut]
    cues = [
        Cue(timing.start_s, timing.end_s, "\n".join(lines[timing.line_index + 1 : end]))
        for timing, end in zip(timings[:MAX_CUES], ends, strict=False)
    ]
    preface = [line for line in lines[: timings[0].line_index] if line.strip() and not line.lstrip().startswith("[")]
    warnings = counted(len(preface), "line before the first cue was ignored", "lines before the first cue were ignored")
    is_cut = num_cut > 0 or (timings[-1].start_s is None and timings[-1].line_index == len(lines) - 1)
    return ReadCues(cues, [*warnings, *[CUT_OFF] * is_cut], len(timings) - len(cues))


def sbv_text(marked: str) -> str:
    """The text of a cue, in which ``[br]`` ends a line."""
    return tagged_text(_LINE_BREAK.sub("\n", marked))


def _timing(lines: list[str], index: int) -> _Timing | None:
    line = lines[index]
    if not SBV_LINE.match(line):
        is_after_gap = index == 0 or not lines[index - 1].strip()
        return _Timing(index, None, None) if is_after_gap and _UNREAD.fullmatch(line) else None
    start, end = map(parse_clock, line.split(","))
    return _Timing(index, start and start.at(100), end and end.at(100))

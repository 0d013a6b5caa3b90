"""Read SubRip (SRT) and WebVTT: a line of times, and the text after it.

The lines of times are found first, over the whole file. What stands between two of them is the text of the first one,
whatever it looks like, except for the number or name of the next cue and WebVTT's own blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.cue import MAX_CUES, Cue, ReadCues, counted, moved
from longvideoagent.media.subtitles.timing_lines import Timing, count_labels, find_timings
from longvideoagent.media.subtitles.usual_srt import read_usual_srt
from longvideoagent.media.subtitles.webvtt import (
    is_signature,
    parse_timestamp_map,
    preface_text,
    segment_offset_s,
    separate_segments,
    take_apart,
)

_CLOCK = r"((?:\d{1,3}:)?\d{1,2}:\d\d[,.]\d{3})"
WITHOUT_ARROW = re.compile(
    rf"^[ \t]{{0,9}}{_CLOCK}[ \t]{{1,9}}[-–]{{0,3}}[ \t]{{0,9}}{_CLOCK}[ \t]{{0,9}}$", re.MULTILINE
)
"""A line of nothing but two exact times, whose arrow is lost: nobody says such a line."""
_IN_BRACKETS = re.compile(rf"^\[{_CLOCK} --> {_CLOCK}\][ \t]{{0,9}}", re.MULTILINE)
"""How Whisper prints a cue, with its text on the same line."""
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,20}:\S{1,100}")
"""``align:start``, ``X1:100``."""


class _Block(NamedTuple):
    """What follows a line of times."""

    timing: Timing
    lines: list[str]


class _Blocks(NamedTuple):
    preface: list[str]
    """The lines before the first cue."""
    blocks: list[_Block]


def read_cue_blocks(text: str) -> ReadCues:
    """Read SRT or WebVTT, with or without its signature. Raises DataError if there is no line of times."""
    if usual := read_usual_srt(text):
        return ReadCues(usual, [])
    text = WITHOUT_ARROW.sub(r"\1 --> \2", _IN_BRACKETS.sub(r"\1 --> \2\n", text))
    is_signed = is_signature(text[:100].partition("\n")[0])
    if is_signed and text.count("WEBVTT") > 1:
        text = separate_segments(text)
    lines = text.rstrip().split("\n")
    timings, warnings = find_timings(text, lines, is_webvtt=is_signed)
    if not timings:
        raise DataError("no cue in it; check that the file is complete")
    first_line = lines[timings[0].line_index]
    number = lines[timings[0].line_index - 1].strip() if timings[0].line_index else ""
    is_webvtt = is_signed or ("." in first_line and "," not in first_line and not number.isdecimal())
    preface, blocks = _split_blocks(lines, timings, is_webvtt=is_webvtt)
    if is_webvtt:
        cues, junk = list(_read_webvtt(preface, blocks[:MAX_CUES])), preface_text(preface)
    else:
        cues, junk = [_read_srt_block(block) for block in blocks[:MAX_CUES]], [line for line in preface if line.strip()]
    warnings += counted(len(junk), "line before the first cue was ignored", "lines before the first cue were ignored")
    return ReadCues(cues, warnings, len(blocks) - len(cues))


def _split_blocks(lines: list[str], timings: Sequence[Timing], *, is_webvtt: bool) -> _Blocks:
    num_labels = count_labels(lines, timings, is_webvtt=is_webvtt)
    begins = [timing.line_index - num for timing, num in zip(timings, num_labels, strict=True)]
    ends = [*begins[1:], len(lines) - _has_dangling_number(lines, timings[-1], num_labels[-1])]
    blocks = [_Block(timing, lines[timing.line_index + 1 : end]) for timing, end in zip(timings, ends, strict=True)]
    return _Blocks(lines[: begins[0]], blocks)


def _has_dangling_number(lines: Sequence[str], timing: Timing, num_labels: int) -> bool:
    """Whether a file that was cut off ends with the number of a cue that it lacks."""
    number, last = lines[timing.line_index - num_labels].strip(), lines[-1].strip()
    if not num_labels or len(lines) < timing.line_index + 3 or not (number.isdecimal() and last.isdecimal()):
        return False
    return not lines[-2].strip() and int(last[:18]) == int(number[:18]) + 1


def _read_srt_block(block: _Block) -> Cue:
    _, start_s, end_s, trailing = block.timing
    text = "\n".join(block.lines)
    if trailing and not trailing.isspace():
        text = " ".join(word for word in trailing.split() if not _SETTING.fullmatch(word)) + "\n" + text
    return Cue(start_s, end_s, text)


def _read_webvtt(preface: Sequence[str], blocks: Sequence[_Block]) -> Iterator[Cue]:
    first_map = parse_timestamp_map(preface)
    offset_s = segment_offset_s(parse_timestamp_map(preface[::-1]), first_map)  # of the latest of empty segments
    for (_, start_s, end_s, _), lines in blocks:
        marked = "\n".join(lines).rstrip("\n")
        header: list[str] = []
        if "\n\n" in marked or "WEBVTT" in marked:
            text, header = take_apart(lines)
            marked = "\n".join(text)
        yield moved(Cue(start_s, end_s, marked), offset_s)
        if header:
            offset_s = segment_offset_s(parse_timestamp_map(header[::-1]), first_map)

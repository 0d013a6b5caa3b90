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
from longvideoagent.media.subtitles.cut_off import CUT_OFF, num_cut_lines
from longvideoagent.media.subtitles.joined_files import restart_warnings
from longvideoagent.media.subtitles.timing_lines import Timing, count_labels, find_timings, is_usual, join_numbers
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
_PART_OF_TIME = re.compile(r"(?=\S*\d)\S{0,9}[:.,]\S{0,9}")
"""What is left of a time of which a blank or a letter makes two."""


class _Block(NamedTuple):
    """What follows a line of times."""

    timing: Timing
    lines: list[str]
    number: int | None
    """Of the cue; None if it has none."""


class _Blocks(NamedTuple):
    preface: list[str]
    """The lines before the first cue."""
    blocks: list[_Block]
    is_cut: bool
    """Whether the file ends inside a cue without text."""


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
    lines, timings = join_numbers(lines, timings)
    first_line = lines[timings[0].line_index]
    number = lines[timings[0].line_index - 1].strip() if timings[0].line_index else ""
    is_webvtt = is_signed or ("." in first_line and "," not in first_line and not number.isdecimal())
    preface, blocks, is_cut = _split_blocks(lines, timings, is_webvtt=is_webvtt)
    if is_webvtt:
        cues, junk = list(_read_webvtt(preface, blocks[:MAX_CUES])), preface_text(preface)
    else:
        cues, unread = _read_srt_blocks(blocks[:MAX_CUES])
        warnings += [*unread, *restart_warnings(cues, [block.number for block in blocks[:MAX_CUES]])]
        junk = [line for line in preface if line.strip()]
    warnings += counted(len(junk), "line before the first cue was ignored", "lines before the first cue were ignored")
    return ReadCues(cues, [*warnings, *[CUT_OFF] * is_cut], len(blocks) - len(cues))


def _split_blocks(lines: list[str], timings: Sequence[Timing], *, is_webvtt: bool) -> _Blocks:
    num_labels = count_labels(lines, timings, is_webvtt=is_webvtt)
    begins = [timing.line_index - num for timing, num in zip(timings, num_labels, strict=True)]
    numbers = [_number(lines[begin]) if num else None for begin, num in zip(begins, num_labels, strict=True)]
    last = timings[-1].line_index
    num_cut = num_cut_lines(lines, last + 1, numbers[-1])
    ends = [*begins[1:], len(lines) - num_cut]
    blocks = [
        _Block(timing, lines[timing.line_index + 1 : end], number)
        for timing, end, number in zip(timings, ends, numbers, strict=True)
    ]
    is_open = len(lines) == last + 1 and is_usual(lines[timings[0].line_index]) and not is_usual(lines[last])
    return _Blocks(lines[: begins[0]], blocks, num_cut > 0 or is_open)


def _number(line: str) -> int | None:
    return int(line.strip()[:18]) if line.strip().isdecimal() else None


def _read_srt_blocks(blocks: Sequence[_Block]) -> tuple[list[Cue], list[str]]:
    """The cues of blocks, and a warning about what stands after their times and is not text."""
    num_ended = sum(block.timing.end_s is not None for block in blocks)
    num_open = sum(block.timing.end_s is None and bool(block.timing.trailing.strip()) for block in blocks)
    cues: list[Cue] = []
    num_junk = 0
    for (_, start_s, end_s, trailing), lines, _ in blocks:
        text = "\n".join(lines)
        words = [word for word in trailing.split() if not _SETTING.fullmatch(word)]
        if words and text.strip() and ((end_s is None and num_open <= num_ended) or _PART_OF_TIME.fullmatch(words[0])):
            num_junk += 1  # an end that cannot be read, as the text stands on its own line
        elif words:
            text = f"{' '.join(words)}\n{text}"
        cues.append(Cue(start_s, end_s, text))
    return cues, counted(
        num_junk,
        "subtitle cue has an end that cannot be read, which was ignored",
        "subtitle cues have ends that cannot be read, which were ignored",
    )


def _read_webvtt(preface: Sequence[str], blocks: Sequence[_Block]) -> Iterator[Cue]:
    first_map = parse_timestamp_map(preface)
    offset_s = segment_offset_s(parse_timestamp_map(preface[::-1]), first_map)  # of the latest of empty segments
    for (_, start_s, end_s, _), lines, _ in blocks:
        marked = "\n".join(lines).rstrip("\n")
        header: list[str] = []
        if "\n\n" in marked or "WEBVTT" in marked:
            text, header = take_apart(lines)
            marked = "\n".join(text)
        yield moved(Cue(start_s, end_s, marked), offset_s)
        if header:
            offset_s = segment_offset_s(parse_timestamp_map(header[::-1]), first_map)

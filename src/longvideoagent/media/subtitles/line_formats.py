"""Read formats that have one cue a line: MicroDVD, MPL2, TMPlayer and LRC (lyrics)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from longvideoagent.errors import DataError
from longvideoagent.media.container import average_frames_per_s
from longvideoagent.media.subtitles.cue import MAX_CUES, MAX_MARKED_CHARS, Cue, ReadCues, counted
from longvideoagent.media.subtitles.cut_off import CUT_OFF
from longvideoagent.media.subtitles.markup import tagged_text
from longvideoagent.media.subtitles.timestamps import MAX_TIME_S, parse_clock

MICRODVD_LINE = re.compile(r"^\{\d{1,9}\}\{\d{0,9}\}", re.MULTILINE)
MPL2_LINE = re.compile(r"^\[-?\d{1,9}\]\[\d{0,9}\]", re.MULTILINE)
TMPLAYER_LINE = re.compile(r"^\d{1,2}:\d\d:\d\d[:=](?!\d\d[ \t,-])", re.MULTILINE)
LRC_LINE = re.compile(r"^[ \t]{0,9}\[\d{1,4}:\d\d(?:[.:,]\d{1,3}){0,2}\]", re.MULTILINE)
FILM_FRAMES_PER_S = 24000 / 1001
"""The rate of most films, for MicroDVD files that have none."""
MAX_LRC_STAMPS = 100
"""Of one line; what follows is its text. No verse is sung more often."""
MAX_LRC_S = 10.0
"""A line of lyrics is shown until the next; this long at most."""

_MICRODVD = re.compile(r"\{([^{}\n]{0,12})\}\{([^{}\n]{0,12})\}")
_DEFAULT_STYLE = re.compile(r"^[ \t]*\{DEFAULT\}[^\n]*$", re.IGNORECASE | re.MULTILINE)
_CODE = re.compile(r"\{[yYfFsScCPoH]:[^{}]{0,100}\}")
_NUMBER = re.compile(r"[ \t]*-?\d{1,9}[ \t]*")
_OFFSET_MS = re.compile(r"[+-]?\d{1,9}")
_RATE = re.compile(r"\d{2,3}(?:[.,]\d{1,6})?")
_MPL2 = re.compile(r"\[([^\[\]\n]{0,12})\]\[([^\[\]\n]{0,12})\]")
_TMPLAYER = re.compile(r"(\d{1,2}:\d\d:\d\d)[:=]")
_TMPLAYER_UNREAD = re.compile(r"(?=\S{0,9}\d)[^\s:=]{1,3}:[^\s:=]{2}:[^\s:=]{2}[:=]")
_LRC_STAMP = re.compile(r"[ \t]*\[[ \t]*(-?)(\d{1,9}):(\d{1,2})(?:([.:,])(\d{1,3}))?(?:[.:,](\d{1,3}))?[ \t]*\]")
_LRC_CLOCK = re.compile(r"[ \t]*\[(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d\]")
_LRC_UNREAD = re.compile(r"[ \t]*\[(?=[^\[\]\s]{0,20}\d)[^\[\]\s:]{0,9}:[^\[\]\s]{0,9}\](?=[ \t]*\S)")
_CUT_PAIR = re.compile(r"[{\[]\d{0,9}(?:[}\]](?:[{\[]\d{0,9})?)?")
_CUT_STAMP = re.compile(r"\[[\d:.,]{0,12}")
_CUT_CLOCK = re.compile(r"\d{1,2}(?::\d{0,2}){1,2}")
_LRC_TAG = re.compile(r"[ \t]*\[[ \t]*([#A-Za-z][A-Za-z_]{0,20})[ \t]*:([^\]]{0,500})\]?[ \t]*$")


class _LineFormat(NamedTuple):
    read: Callable[[str], Sequence[Cue]]
    """The cues of a line; none if it does not begin with times."""
    times: re.Pattern[str]
    """Finds the times of each cue of a text."""
    begun: re.Pattern[str]
    """What is left of times at the end of a file that was cut off there."""


class _Lines(NamedTuple):
    cues: list[Cue]
    warnings: list[str]
    num_beyond_limit: int


def read_microdvd(text: str, video: Path | None = None) -> ReadCues:
    """Cues timed in frames. The rate is that of a first cue which is only a number, else that of the video, else that
    of most films."""
    text = _DEFAULT_STYLE.sub("", text)
    cues, warnings, num_beyond_limit = _read_lines(
        text, _LineFormat(lambda line: _read_pair(line, _MICRODVD), MICRODVD_LINE, _CUT_PAIR)
    )
    stated = cues[0].text.strip().replace(",", ".") if (cues[0].start_s or 0) <= 1 else ""
    if _RATE.fullmatch(stated) and float(stated) > 0:
        return ReadCues([_scaled(cue, float(stated)) for cue in cues[1:]], warnings, num_beyond_limit)
    rate = average_frames_per_s(video) if video and video.is_file() else None
    if rate is None:
        rate = FILM_FRAMES_PER_S
        warnings.append(
            f"the subtitles are timed in frames, without a rate; {rate:.3f} per second were assumed, so begin the file "
            "with {1}{1}25 if it is 25"
        )
    return ReadCues([_scaled(cue, rate) for cue in cues], warnings, num_beyond_limit)


def read_mpl2(text: str) -> ReadCues:
    """Cues timed in tenths of a second."""
    cues, warnings, num_beyond_limit = _read_lines(
        text, _LineFormat(lambda line: _read_pair(line, _MPL2), MPL2_LINE, _CUT_PAIR)
    )
    return ReadCues([_scaled(cue, 10) for cue in cues], warnings, num_beyond_limit)


def read_tmplayer(text: str) -> ReadCues:
    """Cues with a start and no end."""

    def read_line(line: str) -> list[Cue]:
        match = _TMPLAYER.match(line)
        if match is None:
            unread = _TMPLAYER_UNREAD.match(line)
            return [Cue(None, None, line[unread.end() :])] if unread else []
        clock = parse_clock(match[1])
        return [Cue(clock and clock.seconds, None, line[match.end() :])]

    return ReadCues(*_read_lines(text, _LineFormat(read_line, TMPLAYER_LINE, _CUT_CLOCK)))


def read_lrc(text: str) -> ReadCues:
    """Lines of lyrics. One with several times is sung several times; a time without text ends the line before.

    Times of three numbers are minutes, seconds and hundredths next to others, and hours, minutes and seconds, as
    TMPlayer has them in brackets, if all are such times of the day.
    """
    offset_s = 0.0
    lines: list[str] = []
    for line in text.split("\n"):
        tag = _LRC_TAG.fullmatch(line) if "[" in line and line.rstrip()[-1:] == "]" else None
        if tag is None:
            lines.append(line)
        elif tag[1].lower() == "offset" and (offset := _OFFSET_MS.fullmatch(tag[2].strip())):
            offset_s = int(offset[0]) / 1000  # lines appear earlier if it is positive
    are_hours = all(_LRC_CLOCK.match(match[0]) for match in LRC_LINE.finditer(text))
    line_format = _LineFormat(lambda line: _read_lrc_line(line, are_hours=are_hours), _LRC_STAMP, _CUT_STAMP)
    cues, warnings, num_beyond_limit = _read_lines("\n".join(lines), line_format)
    if are_hours:
        cues = [cue._replace(text=cue.text.replace("|", "\n")) for cue in cues]
        warnings.append("the times in brackets were read as hours, minutes and seconds")
    return ReadCues(_until_next(cues, offset_s), warnings, num_beyond_limit)


def _until_next(cues: Sequence[Cue], offset_s: float) -> list[Cue]:
    """Lines of lyrics in order of time, each shown until the next; one without a time stays after the one before."""
    times_s = accumulate(cues, lambda previous, cue: previous if cue.start_s is None else cue.start_s, initial=0.0)
    ordered = sorted(zip(list(times_s)[1:], cues, strict=True), key=lambda timed: timed[0])
    following_s = [*(time_s for time_s, _ in ordered[1:]), float("inf")]
    return [
        cue
        if cue.start_s is None
        else Cue(time_s - offset_s, min(next_s, time_s + MAX_LRC_S) - offset_s if next_s > time_s else None, cue.text)
        for (time_s, cue), next_s in zip(ordered, following_s, strict=True)
    ]


def bar_text(marked: str) -> str:
    """The text of a cue in which ``|`` separates lines, a ``/`` before one is italics, and ``{y:b}`` is bold."""
    lines = (line.removeprefix("/") for line in _CODE.sub("", marked).split("|"))
    return tagged_text("\n".join(lines))


def _read_lines(text: str, line_format: _LineFormat) -> _Lines:
    """The cues of all lines; a line without times continues the cue before."""
    cues: list[Cue] = []
    lines = text.rstrip("\n").split("\n")
    is_cut = line_format.begun.fullmatch(lines[-1]) is not None
    num_junk = num_beyond_limit = 0
    for index, line in enumerate(lines[: len(lines) - is_cut]):
        if found := line_format.read(line):
            num_free = MAX_CUES - len(cues)
            if num_free <= 0:
                rest = "\n".join(lines[index:])
                num_beyond_limit += sum(1 for _ in line_format.times.finditer(rest))
                break
            cues += found[:num_free]
            num_beyond_limit += max(0, len(found) - num_free)
        elif line.strip():
            if not cues:
                num_junk += 1
            elif len(cues[-1].text) < MAX_MARKED_CHARS:
                cues[-1] = cues[-1]._replace(text=f"{cues[-1].text}\n{line}")
    if not cues:
        raise DataError("no cue in it; check that the file is complete")
    warnings = counted(num_junk, "line before the first cue was ignored", "lines before the first cue were ignored")
    return _Lines(cues, [*warnings, *[CUT_OFF] * is_cut], num_beyond_limit)


def _read_pair(line: str, pattern: re.Pattern[str]) -> list[Cue]:
    """The cue of a line that begins with two numbers; the times of one with other values cannot be read."""
    match = pattern.match(line)
    if match is None or match[1].strip().upper() == "DEFAULT":
        return []
    start, end = (float(number) if _NUMBER.fullmatch(number) else None for number in match.groups())
    return [Cue(start, end, line[match.end() :])]


def _scaled(cue: Cue, units_per_s: float) -> Cue:
    start_s, end_s = (None if time is None else time / units_per_s for time in cue[:2])
    return Cue(start_s, end_s, cue.text)


def _read_lrc_line(line: str, *, are_hours: bool) -> list[Cue]:
    starts_s: list[float | None] = []
    position = 0
    while len(starts_s) < MAX_LRC_STAMPS and (match := _LRC_STAMP.match(line, position)):
        start_s = _lrc_seconds(match, are_hours=are_hours)
        if start_s <= MAX_TIME_S:
            starts_s.append(-start_s if match[1] else start_s)
        position = match.end()
    if not position and (unread := _LRC_UNREAD.match(line)):
        starts_s, position = [None], unread.end()
    text = line[position : position + MAX_MARKED_CHARS]
    return [Cue(start_s, None, text) for start_s in starts_s]


def _lrc_seconds(match: re.Match[str], *, are_hours: bool) -> float:
    _, first, second, separator, third, fraction = match.groups()
    if third is None:
        return 60.0 * int(first) + int(second)
    if separator == ":" and (are_hours or fraction is not None):
        minutes = 60.0 * int(first) + int(second)
        return 60.0 * minutes + int(third) + float(f"0.{fraction or 0}")
    return 60.0 * int(first) + int(second) + float(f"0.{third}")

"""Read formats that have one cue a line: MicroDVD, MPL2, TMPlayer and LRC (lyrics)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from longvideoagent.errors import DataError
from longvideoagent.media.container import average_frames_per_s
from longvideoagent.media.subtitles.cue import MAX_CUES, MAX_MARKED_CHARS, Cue, ReadCues, counted
from longvideoagent.media.subtitles.markup import tagged_text
from longvideoagent.media.subtitles.timestamps import parse_clock

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
_LRC_STAMP = re.compile(r"[ \t]*\[[ \t]*(-?\d{1,9}:\d{1,2}(?:[.:,]\d{1,3}){0,2})[ \t]*\]")
_LRC_TAG = re.compile(r"[ \t]*\[[ \t]*([#A-Za-z][A-Za-z_]{0,20})[ \t]*:([^\]]{0,500})\]?[ \t]*$")


class _Lines(NamedTuple):
    cues: list[Cue]
    warnings: list[str]
    num_beyond_limit: int


def read_microdvd(text: str, video: Path | None = None) -> ReadCues:
    """Cues timed in frames. The rate is that of a first cue which is only a number, else that of the video, else that
    of most films."""
    text = _DEFAULT_STYLE.sub("", text)
    cues, warnings, num_beyond_limit = _read_lines(text, lambda line: _read_pair(line, _MICRODVD))
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
    cues, warnings, num_beyond_limit = _read_lines(text, lambda line: _read_pair(line, _MPL2))
    return ReadCues([_scaled(cue, 10) for cue in cues], warnings, num_beyond_limit)


def read_tmplayer(text: str) -> ReadCues:
    """Cues with a start and no end."""

    def read_line(line: str) -> list[Cue]:
        match = _TMPLAYER.match(line)
        clock = parse_clock(match[1]) if match else None
        return [Cue(clock.seconds, None, line[match.end() :])] if match and clock else []

    return ReadCues(*_read_lines(text, read_line))


def read_lrc(text: str) -> ReadCues:
    """Lines of lyrics. One with several times is sung several times; a time without text ends the line before."""
    offset_s = 0.0
    lines: list[str] = []
    for line in text.split("\n"):
        tag = _LRC_TAG.fullmatch(line)
        if tag is None:
            lines.append(line)
        elif tag[1].lower() == "offset" and (offset := _OFFSET_MS.fullmatch(tag[2].strip())):
            offset_s = int(offset[0]) / 1000  # lines appear earlier if it is positive
    cues, warnings, num_beyond_limit = _read_lines("\n".join(lines), _read_lrc_line)
    ordered = sorted(cues, key=lambda cue: cue.start_s or 0.0)
    starts_s = [cue.start_s or 0.0 for cue in ordered]
    ends_s = [min(later, start + MAX_LRC_S) for start, later in pairwise(starts_s)]
    ends_s += [starts_s[-1] + MAX_LRC_S] * (len(ordered) > len(ends_s))
    timed = [
        Cue(start_s - offset_s, end_s - offset_s if end_s > start_s else None, cue.text)
        for cue, start_s, end_s in zip(ordered, starts_s, ends_s, strict=True)
    ]
    return ReadCues(timed, warnings, num_beyond_limit)


def bar_text(marked: str) -> str:
    """The text of a cue in which ``|`` separates lines, a ``/`` before one is italics, and ``{y:b}`` is bold."""
    lines = (line.removeprefix("/") for line in _CODE.sub("", marked).split("|"))
    return tagged_text("\n".join(lines))


def _read_lines(text: str, read_line: Callable[[str], Sequence[Cue]]) -> _Lines:
    """The cues of all lines; a line without times continues the cue before."""
    cues: list[Cue] = []
    num_junk = num_cues = 0
    for line in text.split("\n"):
        found = read_line(line)
        if found:
            num_cues += len(found)
            cues += found[: max(0, MAX_CUES - len(cues))]
        elif line.strip():
            if not cues:
                num_junk += 1
            elif len(cues[-1].text) < MAX_MARKED_CHARS and num_cues <= MAX_CUES:
                cues[-1] = cues[-1]._replace(text=f"{cues[-1].text}\n{line}")
    if not cues:
        raise DataError("no cue in it; check that the file is complete")
    junk = counted(num_junk, "line before the first cue was ignored", "lines before the first cue were ignored")
    return _Lines(cues, junk, num_cues - len(cues))


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


def _read_lrc_line(line: str) -> list[Cue]:
    starts_s: list[float] = []
    position = 0
    while len(starts_s) < MAX_LRC_STAMPS and (match := _LRC_STAMP.match(line, position)):
        whole, _, hundredths = match[1].rpartition(":")  # mm:ss:hh, if there are three numbers
        clock = parse_clock(f"{whole}.{hundredths}" if match[1].count(":") == 2 and "." not in match[1] else match[1])
        starts_s += [clock.seconds] if clock else []
        position = match.end()
    text = line[position : position + MAX_MARKED_CHARS]
    return [Cue(start_s, None, text) for start_s in starts_s]

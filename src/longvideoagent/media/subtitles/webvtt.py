"""What WebVTT has between its cues: signatures, header lines, comments, styles and regions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from longvideoagent.media.subtitles.timestamps import parse_clock

MPEG_TICKS_PER_S = 90_000
_MPEG_WRAP = 2**33
_SIGNATURE = re.compile(r"\ufeff?WEBVTT(?:[ \t\n]|$)")
_BLOCK = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t]|$)")
_GLUED = re.compile(r"(?<=\S)WEBVTT(?=[^\n]{0,200}\n(?:\n|X-TIMESTAMP-MAP))")
_MAP = re.compile(r"X-TIMESTAMP-MAP[ \t]*=[ \t]*(\S{1,100})", re.IGNORECASE)


class TimestampMap(NamedTuple):
    """Where a segment of an HTTP live stream lies on the clock of the stream."""

    local_s: float
    """A time as cues have it."""
    mpeg_ticks: int
    """The same moment on the stream's clock."""


class BlockText(NamedTuple):
    """The lines after a line of times, taken apart."""

    text: list[str]
    header: list[str]
    """The header of the segment that begins here; empty if none does."""


def is_signature(line: str) -> bool:
    """Whether a line begins a WebVTT file."""
    return _SIGNATURE.match(line) is not None


def separate_segments(text: str) -> str:
    """The text of joined files with a line end before each signature that follows text directly."""
    return _GLUED.sub("\n\nWEBVTT", text)


def take_apart(lines: Sequence[str]) -> BlockText:
    """Separate the text of a cue from comments, styles and regions after it and from the header of another segment."""
    text: list[str] = []
    is_after_blank = is_in_block = False
    for index, line in enumerate(lines):
        if is_signature(line) and (is_after_blank or line.strip("\ufeff \t") == "WEBVTT"):
            return BlockText(text, list(lines[index:]))
        if is_after_blank and _BLOCK.match(line):
            is_in_block = True
        elif not is_in_block:
            text.append(line)
        is_after_blank = not line
    return BlockText(text, [])


def preface_text(lines: Sequence[str]) -> list[str]:
    """The lines before the first cue that are neither a header nor a block."""
    if lines and is_signature(lines[0]):
        blank = next((index for index, line in enumerate(lines) if not line.strip()), len(lines))
        lines = lines[blank:]
    return [line for line in take_apart(["", *lines]).text if line.strip()]


def parse_timestamp_map(header: Sequence[str]) -> TimestampMap | None:
    """The ``X-TIMESTAMP-MAP`` of a header, or None."""
    match = next(filter(None, map(_MAP.match, header)), None)
    if match is None:
        return None
    fields = dict(field.partition(":")[::2] for field in match[1].upper().split(","))
    local, ticks = parse_clock(fields.get("LOCAL", "")), fields.get("MPEGTS", "")
    return TimestampMap(local.seconds, int(ticks)) if local and ticks.isascii() and ticks.isdecimal() else None


def segment_offset_s(segment: TimestampMap | None, first: TimestampMap | None) -> float:
    """Seconds to add to the times of a segment to put them on the clock of the first segment."""
    if segment is None or first is None:
        return 0.0
    ticks = (segment.mpeg_ticks - first.mpeg_ticks + _MPEG_WRAP // 2) % _MPEG_WRAP - _MPEG_WRAP // 2
    return ticks / MPEG_TICKS_PER_S - (segment.local_s - first.local_s)

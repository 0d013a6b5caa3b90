"""One tolerant grammar for the times of all subtitle formats.

A time is two to four numbers with a separator before each but the first: hours, minutes, seconds and a fraction or
frames. Hours may be missing, minutes may exceed 59, and there may be blanks around the separators.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FRAMES_PER_S = (25, 30, 50, 60, 100)
"""The rates that frames in times may have, as far as their largest number shows it; the last are hundredths."""
MAX_LINE_CHARS = 500
"""No line of times is longer."""
MAX_TIME_S = 1e7

ARROW_HEADS = (">", "→", "⟶", "➔", "➜", "⇒", "›", "〉", "＞", "&gt;")
"""A line of times has one of these."""
_ARROW = re.compile(r"[-‐‑‒–—―−=]{1,3}[ \t]{0,2}(?:[>›〉＞]|&gt;){1,2}|[→⟶➔➜⇒]")
TIMING_LINE = re.compile(
    r"^[^\n]{0,60}\d[ \t]{0,9}(?:[-‐‑‒–—―−=]{1,3}[ \t]{0,2}(?:[>›〉＞]|&gt;)|[→⟶➔➜⇒])", re.MULTILINE
)
"""The beginning of a line that may give the times of a cue."""
_TIME = re.compile(
    r"[ \t]*(?P<sign>[-−–]?)[ \t]*"
    r"(?P<first>\d{1,9})(?P<rest>(?:[ \t]{0,3}[:.,;][ \t]{0,3}\d{1,9}){1,3})(?=[ \t]|$)"
)
_PART = re.compile(r"([:.,;])[ \t]*(\d+)")
_WIDE = re.compile(r"[０-９：．，；]")
_WIDE_TIME = r"\d{1,4}(?:[ \t]{0,3}[:.,;：．，；][ \t]{0,3}\d{1,9}){1,3}"
_WIDE_TIMES = re.compile(
    rf"^[ \t]{{0,9}}(?:Dialogue:[^,\n]{{0,20}},{_WIDE_TIME},{_WIDE_TIME}(?=,)"
    rf"|(?:\[{_WIDE_TIME}\])+"
    rf"|[-−–]?{_WIDE_TIME}[ \t]{{0,9}}(?:{_ARROW.pattern})(?:[ \t]{{0,9}}{_WIDE_TIME})?"
    rf"|{_WIDE_TIME}[ \t]{{0,9}}[,，][ \t]{{0,9}}{_WIDE_TIME}[ \t]{{0,9}}$"
    rf"|\d{{1,2}}[:：]\d\d[:：]\d\d[:：=])",
    re.MULTILINE,
)
"""The times at the beginning of a line, in any format that has digits and colons."""
_NARROW = str.maketrans("０１２３４５６７８９：．，；", "0123456789:.,;")


class Clock(NamedTuple):
    """A time whose last part may be frames."""

    seconds: float
    """Without the frames."""
    num_frames: int = 0
    has_frames: bool = False
    has_fraction: bool = False

    def at(self, frames_per_s: int) -> float:
        """The time in seconds at a rate of frames."""
        return self.seconds + self.num_frames / frames_per_s


class TimingLine(NamedTuple):
    """A line that gives the times of a cue."""

    start: Clock | None
    """None if it cannot be read."""
    end: Clock | None
    """None if it is missing or cannot be read."""
    trailing: str
    """What follows the times."""
    is_canonical: bool = False
    """Whether the arrow is ``-->`` and the start has a fraction, so that the line can hardly be text."""
    is_readable: bool = True
    """Whether neither time is invalid."""


def parse_clock(text: str) -> Clock | None:
    """A time that is the whole text, or None."""
    text = text if text.isascii() else text.translate(_NARROW)
    match = _TIME.match(text)
    return _clock(match) if match and not text[match.end() :].strip() else None


def narrow_times(text: str) -> str:
    """The text, with the digits and signs of ASCII in times that are written with full-width ones, as Chinese and
    Japanese keyboards type them. What is said stays as it is."""
    if not _WIDE.search(text):
        return text
    return _WIDE_TIMES.sub(lambda match: match[0].translate(_NARROW), text)


def has_arrow(line: str) -> bool:
    """Whether a line has an arrow that could stand between two times."""
    return _ARROW.search(line) is not None


def count_arrows(text: str) -> int:
    """The number of such arrows in a text."""
    num = text.count("-->")
    if text.count(">") == num and not any(head in text for head in ARROW_HEADS[1:]):
        return num  # in a text without tags, several times as fast
    return sum(1 for _ in _ARROW.finditer(text))


def parse_timing_line(line: str) -> TimingLine | None:
    """The times of a line of the form ``start --> end``, with any arrow; None for other lines.

    A line whose times cannot be read is one nevertheless if it has an arrow; the caller decides by its place.
    """
    arrow = _ARROW.search(line) if len(line) <= MAX_LINE_CHARS else None
    if arrow is None:
        return None
    before, after = line[: arrow.start()], line[arrow.end() :]
    start = parse_clock(before)
    match = _TIME.match(after)
    if match is None:
        is_open = not any(map(str.isdecimal, after))
        trailing = after if is_open and any(map(str.isalpha, after)) else ""
        return TimingLine(start, None, trailing, is_readable=start is not None and is_open)
    end = _clock(match)
    is_canonical = arrow[0] == "-->" and start is not None and start.has_fraction
    is_readable = start is not None and end is not None
    return TimingLine(start, end, after[match.end() :], is_canonical, is_readable)


def frame_rate(clocks: list[Clock]) -> int:
    """The rate that the largest number of frames in these times suggests."""
    largest = max((clock.num_frames for clock in clocks if clock.has_frames), default=0)
    return next((rate for rate in FRAMES_PER_S if largest < rate), FRAMES_PER_S[-1])


def _clock(match: re.Match[str]) -> Clock | None:
    """The time of the parts of a match, or None if it is beyond any video."""
    parts = _PART.findall(match["rest"])
    numbers = [int(match["first"]), *(int(digits) for _, digits in parts)]
    separator, digits = parts[-1]
    has_fraction = separator in ".," or (len(numbers) == 4 and len(digits) > 2)
    has_frames = len(numbers) == 4 and not has_fraction
    last = numbers.pop() if has_fraction or has_frames else 0
    seconds = last / 10 ** len(digits) if has_fraction else 0.0
    for number, unit_s in zip(reversed(numbers), (1, 60, 3600), strict=False):
        seconds += number * unit_s
    if seconds > MAX_TIME_S:
        return None
    return Clock(-seconds if match["sign"] else seconds, last if has_frames else 0, has_frames, has_fraction)

"""Values of annotation fields, whose types vary between files and releases: numbers, texts, lists, spans, lines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from longvideoagent.core.text import plural
from longvideoagent.core.types import Subtitle, TimeSpan

MAX_TIME_S = 1_000_000.0
"""No time in a video is later; the sum of larger ones can be infinite."""
_SPAN = re.compile(r"\s*([\d.]+|nan)\s*-\s*([\d.]+|nan)\s*", re.IGNORECASE)


def as_finite(value: object) -> float | None:
    """A finite number, also one written as text; None for anything else, NaN and infinities included."""
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # an integer can have more digits than a float holds
        return None
    return number if math.isfinite(number) else None


def as_text(value: object) -> str:
    """A text or a number as stripped text; empty for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value.strip() if isinstance(value, str) else str(value) if is_number else ""


def as_list(value: object) -> list[object]:
    """The value if it is a list, else an empty list (a text is not a list of characters)."""
    return value if isinstance(value, list) else []


def read_span(value: object, *, clips_start: bool = False) -> TimeSpan | None:
    """Start and end in seconds from ``[48.6, 60.0]`` or ``"48.62-60.02"``; None for anything else, such as
    "NaN-NaN". With ``clips_start``, a span that begins before the video, as -0.1 s by rounding, begins at 0."""
    if isinstance(value, str) and (match := _SPAN.fullmatch(value)):
        value = [match[1], match[2]]
    if not isinstance(value, list) or len(value) != 2:
        return None
    start_s, end_s = as_finite(value[0]), as_finite(value[1])
    if start_s is None or end_s is None:
        return None
    if clips_start:
        start_s = max(0.0, start_s)
    if not 0 <= start_s <= end_s <= MAX_TIME_S:
        return None
    return TimeSpan(start_s, end_s)


class ValidLines(NamedTuple):
    """The valid ones of several subtitle lines."""

    lines: list[Subtitle]
    problem: str
    """How many lines are left out, and why; empty if all are valid."""


def read_line(start: object, end: object, text: object) -> Subtitle | None:
    """A subtitle line from its times in seconds and its text; None without valid times or without text. A line that
    begins before the video is cut at its start."""
    span = read_span([start, end], clips_start=True)
    if span is None or not isinstance(text, str) or not text.strip():
        return None
    return Subtitle(*span, " ".join(text.split()))


def valid_lines(parsed: Iterable[Subtitle | None]) -> ValidLines:
    """The lines of ``read_line`` that are valid."""
    all_lines = list(parsed)
    lines = [line for line in all_lines if line is not None]
    return ValidLines(lines, lines_left_out(len(all_lines) - len(lines)))


def lines_left_out(count: int) -> str:
    """The message that ``count`` lines are not valid; empty for 0."""
    return f"{count} {plural('line', count)} without times or text, left out" if count else ""

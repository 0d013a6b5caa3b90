"""The span that a look may name before what it looks for: ``0:40-0:50: what the sign says``.

A look at a span spreads its frames over that span alone, wherever the current clip is: over seconds, to see what is
shown for a moment, or over minutes, to see what changes. The paper's looks have no span.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Clip, TimeSpan

MOMENT_REACH_S = 1.0
"""A single time stands for the span from this long before it to this long after it."""
MIN_SPAN_S = 0.1
MAX_QUERY_CHARS_READ = 200
"""Of a query, to look for a span at its start."""
_TIME = r"(?:(?:\d{1,3}:)?\d{1,6}:[0-5]\d(?:\.\d{1,3})?|\d{1,6}(?:\.\d{1,3})?(?=\s?s(?:ec(?:onds?)?)?\b))"
_UNIT = r"(?:\s?s(?:ec(?:onds?)?)?\b)?"
_SPAN = re.compile(
    rf"(?P<lead>(?:from|between|at)\s+)?(?P<start>{_TIME}|\d{{1,6}}(?:\.\d{{1,3}})?(?=\s?[-–—]\s?{_TIME})){_UNIT}"
    rf"(?:\s?(?:[-–—]|to|until|and)\s?(?P<end>{_TIME}){_UNIT})?"
    r"(?P<mark>\s?[:,;]?)(?=\s|\Z)",
    re.IGNORECASE,
)


class SpanQuery(NamedTuple):
    """A query of a look, split."""

    span: TimeSpan | None
    """The span that it names, or None."""
    text: str
    """What to look for there."""


def split_span(query: str) -> SpanQuery:
    """Split the span off the start of a look's query. Never raises.

    Forms: ``0:40-0:50: text``, ``from 0:40 to 0:50, text``, ``40.5-42 s text``, and a single time, ``0:45: text`` or
    ``at 0:45 text``, which stands for the second before it and the one after it. Times are ``m:ss``,
    ``h:mm:ss`` or ``45 s``, with or without decimals; the earlier of two is the start.

    Args:
        query: The query, as a master writes it.

    Returns:
        The span, and the query without it; a query without a span, or with nothing else, is returned whole.
    """
    stripped = query.strip()
    match = _SPAN.match(stripped[:MAX_QUERY_CHARS_READ])
    if match is None or not (match["end"] or match["lead"] or match["mark"].strip()):  # as in "10:30 train"
        return SpanQuery(None, query)
    start_s = _seconds(match["start"])
    if match["end"] is None:
        span = TimeSpan(max(0.0, start_s - MOMENT_REACH_S), start_s + MOMENT_REACH_S)
    else:
        first_s, last_s = sorted((start_s, _seconds(match["end"])))
        span = TimeSpan(first_s, max(last_s, first_s + MIN_SPAN_S))
    return SpanQuery(span, stripped[match.end() :].strip() or query)


def cut_clips(clips: Sequence[Clip], span: TimeSpan) -> tuple[Clip, ...]:
    """The parts of clips that lie in a span, in order: its lines are those that start in the span, and a clip that is
    cut loses its raw text. Empty for a span outside the clips."""
    parts = []
    for clip in clips:
        start_s, end_s = max(clip.start_s, span.start_s), min(clip.end_s, span.end_s)
        if (start_s, end_s) == (clip.start_s, clip.end_s):
            parts.append(clip)
        elif start_s < end_s:
            lines = tuple(line for line in clip.subtitles if start_s <= line.start_s < end_s)
            parts.append(replace(clip, start_s=start_s, end_s=end_s, subtitles=lines, raw_text=""))
    return tuple(parts)


def describe_span(span: TimeSpan) -> str:
    """The span for a person, such as ``0:40 to 0:50``."""
    return f"{format_timestamp(span.start_s)} to {format_timestamp(span.end_s)}"


def _seconds(clock: str) -> float:
    total_s = 0.0
    for part in clock.split(":"):
        total_s = 60 * total_s + float(part)
    return total_s

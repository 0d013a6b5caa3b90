"""Queries about speakers: who has most lines, and who speaks longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Timeline, TimelineResult
from longvideoagent.index.lines import Occurrence, timeline_lines

MAX_EQUAL_S = 0.01
"""Times of speech that differ by less are equal."""
NO_SPEAKERS = "no line names its speaker"
MAX_LINES_SHOWN = 20
"""Lines in the text of a result; its evidence has all of them."""


def _of_speakers(words: str, timeline: Timeline) -> Mapping[str, Sequence[Occurrence]] | TimelineResult:
    """The lines of the named speakers, or of all; a result that says so if one of them has none."""
    lines = timeline_lines(timeline).by_speaker
    if not lines:
        return TimelineResult(NO_SPEAKERS, is_found=False)
    folded = {name.casefold(): name for name in lines}
    wanted = [part.strip() for part in words.split(";") if part.strip()]
    if unknown := [name for name in wanted if name.casefold() not in folded]:
        known = ", ".join(sorted(lines, key=lambda name: -len(lines[name]))[:MAX_LINES_SHOWN])
        return TimelineResult(f"no line is of a speaker {unknown[0]!r}; there are {known}", is_found=False)
    return {folded[name.casefold()]: lines[folded[name.casefold()]] for name in wanted} or lines


def speakers(words: str, timeline: Timeline) -> TimelineResult:
    """Who of the named speakers, or of all, has most lines."""
    lines = _of_speakers(words, timeline)
    if isinstance(lines, TimelineResult):
        return lines
    ranked = sorted(lines, key=lambda name: -len(lines[name]))
    top = [name for name in ranked if len(lines[name]) == len(lines[ranked[0]])]
    value = f"{' and '.join(top)}, {_num_lines(lines[ranked[0]])}"
    return _speakers_result("by lines", value, ranked, lines, top)


def talk_time(words: str, timeline: Timeline) -> TimelineResult:
    """Who of the named speakers, or of all, speaks longest; of one, how long."""
    lines = _of_speakers(words, timeline)
    if isinstance(lines, TimelineResult):
        return lines
    talk_s = {name: sum(each.line.end_s - each.line.start_s for each in lines[name]) for name in lines}
    ranked = sorted(talk_s, key=lambda name: -talk_s[name])
    if words and len(lines) == 1:
        return _speakers_result("by time of speech", f"{talk_s[ranked[0]]:.0f} s", ranked, lines, ranked)
    top = [name for name in ranked if talk_s[name] >= talk_s[ranked[0]] - MAX_EQUAL_S]
    return _speakers_result("by time of speech", f"{' and '.join(top)}, {talk_s[top[0]]:.0f} s", ranked, lines, top)


def _speakers_result(
    order: str, value: str, ranked: Sequence[str], lines: Mapping[str, Sequence[Occurrence]], cited: Sequence[str]
) -> TimelineResult:
    """The speakers with their lines and time of speech; the lines of those that are cited are the evidence."""
    rows = []
    for name in ranked[:MAX_LINES_SHOWN]:
        seconds = sum(each.line.end_s - each.line.start_s for each in lines[name])
        first = format_timestamp(lines[name][0].line.start_s)
        rows.append(f"{name}: {_num_lines(lines[name])}, {seconds:.0f} s of speech, first at {first}")
    evidence = tuple(each.evidence for name in cited for each in lines[name])
    return TimelineResult(
        "\n".join([f"{len(ranked)} {plural('speaker', len(ranked))}, {order}", *rows]), value, evidence
    )


def _num_lines(lines: Sequence[Occurrence]) -> str:
    return f"{len(lines)} {plural('line', len(lines))}"

"""Queries about speakers: who has most lines, and who speaks longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Timeline, TimelineResult
from longvideoagent.index.lines import AT_LEAST, Occurrence, timeline_lines

MAX_EQUAL_S = 0.01
"""Times of speech that differ by less are equal."""
NO_SPEAKERS = "no line names its speaker"
MAX_UNNAMED_FRACTION = 0.25
"""Of the spoken lines: if more name no speaker, who speaks at all, or most, is not sure."""
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


def with_unnamed(result: TimelineResult, timeline: Timeline) -> TimelineResult:
    """The result of a query for speakers, and how many lines name none, if these are many."""
    if not _has_many_unnamed(timeline):
        return result
    lines = timeline_lines(timeline)
    text = f"{result.text}\n{lines.num_unnamed} of {lines.num_spoken} lines do not name their speaker"
    return replace(result, text=text, num_unnamed=lines.num_unnamed)


def _has_many_unnamed(timeline: Timeline) -> bool:
    """Whether some lines name their speaker, and many do not."""
    lines = timeline_lines(timeline)
    return bool(lines.by_speaker) and lines.num_unnamed > MAX_UNNAMED_FRACTION * lines.num_spoken


def _bound(timeline: Timeline) -> str:
    """What stands before the lines or seconds of a speaker: with many lines of nobody, they may be more."""
    return AT_LEAST if _has_many_unnamed(timeline) else ""


def speakers(words: str, timeline: Timeline) -> TimelineResult:
    """Who of the named speakers, or of all, has most lines."""
    lines = _of_speakers(words, timeline)
    if isinstance(lines, TimelineResult):
        return lines
    ranked = sorted(lines, key=lambda name: -len(lines[name]))
    top = [name for name in ranked if len(lines[name]) == len(lines[ranked[0]])]
    value = f"{' and '.join(top)}, {_bound(timeline)}{_num_lines(lines[ranked[0]])}"
    return _speakers_result("by lines", value, ranked, lines, top)


def talk_time(words: str, timeline: Timeline) -> TimelineResult:
    """Who of the named speakers, or of all, speaks longest; of one, how long."""
    lines = _of_speakers(words, timeline)
    if isinstance(lines, TimelineResult):
        return lines
    talk_s = {name: sum(each.line.end_s - each.line.start_s for each in lines[name]) for name in lines}
    ranked = sorted(talk_s, key=lambda name: -talk_s[name])
    longest = f"{_bound(timeline)}{talk_s[ranked[0]]:.0f} s"
    if words and len(lines) == 1:
        return _speakers_result("by time of speech", longest, ranked, lines, ranked)
    top = [name for name in ranked if talk_s[name] >= talk_s[ranked[0]] - MAX_EQUAL_S]
    return _speakers_result("by time of speech", f"{' and '.join(top)}, {longest}", ranked, lines, top)


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

"""Queries over all lines of a video: exact, without a model, each with its occurrences as evidence.

====================  ==========================================================================
query                 result
====================  ==========================================================================
find WORDS            the lines with these words
count WORDS           how often they occur
first WORDS, last …   their first or last line; without words, of the video
nth 3 WORDS           the third line with these words
order WORDS ; WORDS   which comes first, by their first occurrences
before WORDS, after … the lines around their first occurrence
before TIME, after …  the lines before or after a time
at TIME               what is said at that time
between TIME TIME     the lines of a span
speakers              who speaks, with lines and time of speech, most lines first
speakers A ; B        the same of these people only
talk_time, … NAME     who speaks longest, or how long one speaker does; NAME ; NAME: which of them
speaker_names         all speakers, in order of appearance
screen_texts          the texts on screen
scenes                where the scenes begin
sounds, objects       what detectors heard or saw, if ``lva index`` let them search
sounds WORDS, …       when they heard or saw what the words name; a TIME: what was there then
overview              lines spread evenly over the video, the most telling of each part
length                the length of the video
====================  ==========================================================================

WORDS match a line that has all of them, in any inflection; "in quotes" they must stand there as they are. ``by NAME``
at their end, or behind a TIME, keeps the lines of a speaker. TIME is ``7:29``, ``1:02:15`` or ``449 s``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp, times_in_s
from longvideoagent.core.types import Evidence, Subtitle, Timeline, TimelineResult
from longvideoagent.index.lines import AT_LEAST, Occurrence, names_speaker, occurrences, timeline_lines
from longvideoagent.index.missing import missing_part
from longvideoagent.index.query_events import objects, sounds
from longvideoagent.index.query_speakers import MAX_LINES_SHOWN, NO_SPEAKERS, speakers, talk_time, with_unnamed
from longvideoagent.media.text_columns import QUOTED

MAX_QUERY_CHARS = 500
MAX_SCENES_SHOWN = 100
OVERVIEW_PARTS = 8
LINES_AROUND = 3
"""Lines shown before or after an event."""
NOT_FOUND = "not found:"
"""In the value of an order, before what no line has."""
MAY_BE_MORE = "so there may be more"
"""At the end of a result about a video whose text was read in part."""
MAX_NEAR_S = 10.0
"""How far the line nearest to a time may be if none is spoken at it."""
SHOWN_SECOND_S = 1.0
"""A time as players show it stands for the second that begins there."""
_TIME_AND_SPEAKER = re.compile(r"\d[\d:.]*(?:\s*s)?(?:\s+by\s+\S.*)?", re.IGNORECASE)
HELP = (
    "write one of: find WORDS, count WORDS, first WORDS, last WORDS, nth 3 WORDS, order WORDS ; WORDS, before WORDS, "
    "after WORDS, at 7:29, between 5:00 5:30, speakers, talk_time, talk_time NAME, speaker_names, "
    "screen_texts, scenes, sounds, sounds WORDS, objects, objects WORDS, overview, length"
)


def query_timeline(query: str, timeline: Timeline) -> TimelineResult:
    """Perform a query in the grammar at the top of this file.

    Args:
        query: The query, as a master writes it.
        timeline: The lines of the video.

    Returns:
        What was found. A query that cannot be read gives a result that says so and repeats the grammar; nothing is
        raised.
    """
    name, rest = _split(query)
    perform = _QUERIES.get(name)
    if perform is None:
        return TimelineResult(f"{name!r} is not a query; {HELP}", is_found=False)
    result = perform(rest, timeline)
    if name in _FOR_SPEAKERS or (name in _FOR_WORDS and names_speaker(rest, timeline)):
        result = with_unnamed(result, timeline)
    return _as_partial(result, name, timeline) if timeline.unread and name != "length" else result


def is_for_scenes(query: str) -> bool:
    """Whether a query asks for scenes."""
    return _split(query)[0] == "scenes"


def _split(query: str) -> tuple[str, str]:
    """The name of a query, as masters may write it, and the rest."""
    name, _, rest = " ".join(query.split())[:MAX_QUERY_CHARS].partition(" ")
    return name.lower().strip(":"), rest.strip()


def _as_partial(result: TimelineResult, name: str, timeline: Timeline) -> TimelineResult:
    """The result for a video whose text was read in part: what was counted is a lower bound."""
    value = result.value
    if name == "count":
        value = f"{AT_LEAST}{value}" if result.is_found else ""
    return replace(result, value=value, text=f"{result.text}\n{timeline.unread}, {MAY_BE_MORE}")


def _result(value: str, found: Sequence[Occurrence], summary: str) -> TimelineResult:
    lines = [f"[{format_timestamp(each.line.start_s)}] {each.line.text}" for each in found[:MAX_LINES_SHOWN]]
    if len(found) > MAX_LINES_SHOWN:
        num_more = len(found) - MAX_LINES_SHOWN
        lines.append(f"and {num_more} more {plural('line', num_more)}")
    return TimelineResult("\n".join([summary, *lines]), value, tuple(each.evidence for each in found))


def _nothing(words: str, timeline: Timeline) -> TimelineResult:
    num_lines = sum(len(clip.subtitles) for clip in timeline.clips)
    return TimelineResult(
        f"none of the {num_lines} {plural('line', num_lines)} of the video has {words!r}", is_found=False
    )


def _find(words: str, timeline: Timeline) -> TimelineResult:
    found = occurrences(words, timeline)
    if not found or not words:
        return _nothing(words, timeline)
    return _result(_quoted(found[0]) if len(found) == 1 else "", found, _num_lines(found))


def _count_words(words: str, timeline: Timeline) -> TimelineResult:
    found = occurrences(words, timeline)
    if not found or not words:
        return replace(_nothing(words, timeline), value="0 times" if words else "")
    total = sum(each.count for each in found)
    return _result("once" if total == 1 else f"{total} times", found, f"{total} times in {_num_lines(found)}")


def _first(words: str, timeline: Timeline) -> TimelineResult:
    found = occurrences(words, timeline)
    return _one(found[:1], len(found), words, timeline)


def _last(words: str, timeline: Timeline) -> TimelineResult:
    found = occurrences(words, timeline)
    return _one(found[-1:], len(found), words, timeline)


def _nth(words: str, timeline: Timeline) -> TimelineResult:
    number, _, rest = words.partition(" ")
    if not (number.isascii() and number.isdigit() and int(number)):
        return TimelineResult(f"nth {words!r}: begin with a number; write nth 3 WORDS", is_found=False)
    found, place = occurrences(rest, timeline), int(number)
    if found and place > len(found):
        return TimelineResult(f"{rest!r} is in {_num_lines(found)}, so there is no line {place}", is_found=False)
    return _one(found[place - 1 : place], len(found), rest, timeline)


def _one(found: Sequence[Occurrence], total: int, words: str, timeline: Timeline) -> TimelineResult:
    if not found:
        return _nothing(words, timeline)
    time_s = found[0].line.start_s
    return _result(
        f"at {format_timestamp(time_s)}",
        found,
        f"one of {total} lines that match" if total > 1 else "the only line that matches",
    )


def _order(words: str, timeline: Timeline) -> TimelineResult:
    parts = [part.strip() for part in re.split(r"\s*[;|]\s*", words) if part.strip()]
    first = {part: found[0] for part in parts if (found := occurrences(part, timeline))}
    missing = [part for part in parts if part not in first]
    if not first or len(parts) < 2:
        return _nothing(" ; ".join(missing or parts), timeline)
    ordered = sorted(first, key=lambda part: first[part].line.start_s)
    unknown = f"; {NOT_FOUND} {', '.join(missing)}" if missing else ""
    summary = ", then ".join(f"{part} at {format_timestamp(first[part].line.start_s)}" for part in ordered)
    value = f"{', '.join(ordered)}{f' ({unknown[2:]})' if unknown else ''}"
    return _result(value, [first[part] for part in ordered], f"first occurrences: {summary}{unknown}")


def _lines_of_speaker(text: str, timeline: Timeline) -> tuple[Sequence[Occurrence], str]:
    """The lines of the speaker in ``by NAME`` at the end of a text with times, and that phrase; all lines, and an empty
    text, without it."""
    match = re.search(r"\bby\s+(\S.*)\Z", text, re.IGNORECASE)
    if match is None:
        return occurrences("", timeline), ""
    by_speaker = timeline_lines(timeline).by_speaker
    wanted = match[1].casefold()
    found = [each for name, lines in by_speaker.items() if name.casefold() == wanted for each in lines]
    return sorted(found, key=lambda each: each.line.start_s), match[0]


def _neighbours(words: str, timeline: Timeline, step: int) -> TimelineResult:
    if _TIME_AND_SPEAKER.fullmatch(words) and (times := times_in_s(words)):
        return _around_time(times[0], words, timeline, step)
    found = occurrences(words, timeline)
    if not found or not words:
        return _nothing(words, timeline)
    every = occurrences("", timeline)
    place = next(index for index, each in enumerate(every) if each.line == found[0].line)
    near = every[place + 1 : place + 1 + LINES_AROUND] if step > 0 else every[max(0, place - LINES_AROUND) : place]
    if not near:
        return TimelineResult("no line comes " + ("after" if step > 0 else "before") + " it", is_found=False)
    nearest = near[0] if step > 0 else near[-1]
    when = f"{'after' if step > 0 else 'before'} {format_timestamp(found[0].line.start_s)}"
    return _result(_quoted(nearest), near, f"lines {when}, where {words!r} first occurs")


def _around_time(time_s: float, words: str, timeline: Timeline, step: int) -> TimelineResult:
    """The lines that begin before a time, or after the second that it stands for."""
    if time_s > timeline.duration_s:
        return _outside(time_s, timeline)
    every, speaker = _lines_of_speaker(words, timeline)
    if step > 0:
        near = [each for each in every if each.line.start_s >= time_s + SHOWN_SECOND_S][:LINES_AROUND]
    else:
        near = [each for each in every if each.line.start_s < time_s][-LINES_AROUND:]
    when = f"{'after' if step > 0 else 'before'} {format_timestamp(time_s)}"
    if not near:
        return TimelineResult(f"{f'no line {speaker}'.rstrip()} comes {when}", is_found=False)
    return _result(_quoted(near[0] if step > 0 else near[-1]), near, f"lines {when}")


def _before(words: str, timeline: Timeline) -> TimelineResult:
    return _neighbours(words, timeline, -1)


def _after(words: str, timeline: Timeline) -> TimelineResult:
    return _neighbours(words, timeline, 1)


def _at(text: str, timeline: Timeline) -> TimelineResult:
    times = times_in_s(text)
    if not times:
        return TimelineResult(f"at {text!r}: not a time; write at 7:29", is_found=False)
    if times[0] > timeline.duration_s:
        return _outside(times[0], timeline)
    every, speaker = _lines_of_speaker(text, timeline)
    found = [each for each in every if each.line.start_s <= times[0] < each.line.end_s] or [
        each for each in every if each.line.start_s <= times[0] + 1 and times[0] < each.line.end_s + 1
    ]
    if not found:
        near = min(every, key=lambda each: _distance_s(each.line, times[0]), default=None)
        if near is None or speaker or _distance_s(near.line, times[0]) > MAX_NEAR_S:
            which = f"no line {speaker}".rstrip()
            return TimelineResult(f"{which} is spoken or shown at {format_timestamp(times[0])}", is_found=False)
        found = [near]
    return _result(" ".join(map(_quoted, found[:LINES_AROUND])), found, f"at {format_timestamp(times[0])}")


def _distance_s(line: Subtitle, time_s: float) -> float:
    return max(line.start_s - time_s, time_s - line.end_s, 0.0)


def _between(text: str, timeline: Timeline) -> TimelineResult:
    times = times_in_s(text)
    if len(times) != 2:
        return TimelineResult(f"between {text!r}: give two times; write between 5:00 5:30", is_found=False)
    start_s, end_s = sorted(times)
    if start_s > timeline.duration_s:
        return _outside(start_s, timeline)
    every, speaker = _lines_of_speaker(text, timeline)
    found = [each for each in every if each.line.start_s < end_s and each.line.end_s > start_s]
    span = f"{format_timestamp(start_s)} to {format_timestamp(end_s)}"
    if not found:
        return TimelineResult(f"{f'no line {speaker}'.rstrip()} is spoken or shown from {span}", is_found=False)
    return _result(" ".join(map(_quoted, found[:LINES_AROUND])), found, f"{_num_lines(found)} from {span}")


def _outside(time_s: float, timeline: Timeline) -> TimelineResult:
    end = format_timestamp(timeline.duration_s)
    return TimelineResult(f"{format_timestamp(time_s)} is after the end of the video, {end}", is_found=False)


def _speaker_names(_: str, timeline: Timeline) -> TimelineResult:
    lines = timeline_lines(timeline).by_speaker
    if not lines:
        return TimelineResult(NO_SPEAKERS, is_found=False)
    return _result(
        ", ".join(lines),
        [each[0] for each in lines.values()],
        f"{len(lines)} {plural('speaker', len(lines))}, first lines",
    )


def _screen_texts(_: str, timeline: Timeline) -> TimelineResult:
    shown = [each for each in occurrences("", timeline) if each.line.source == "screen"]
    first = list({each.line.text.casefold(): each for each in reversed(shown)}.values())[::-1]
    first.sort(key=lambda each: each.line.start_s)
    if not first:
        return _screen_columns(timeline)
    return _result(
        ", ".join(each.line.text for each in first), first, f"{len(first)} {plural('text', len(first))} on screen"
    )


def _screen_columns(timeline: Timeline) -> TimelineResult:
    """The texts on screen of a video whose lines are spoken."""
    found = timeline.screen_texts
    if not found:
        return TimelineResult("no text on screen is known; a look can read some", is_found=False)
    pieces = dict.fromkeys(piece for each in found for piece in QUOTED.findall(each.text))
    lines = [f"[{format_timestamp(each.start_s)}] {each.text}" for each in found[:MAX_LINES_SHOWN]]
    if len(found) > MAX_LINES_SHOWN:
        lines.append(f"and {len(found) - MAX_LINES_SHOWN} more")
    summary = f"{len(pieces)} {plural('text', len(pieces))} on screen: {', '.join(pieces)}"
    return TimelineResult("\n".join([summary, *lines]), ", ".join(pieces), found)


def _scenes(_: str, timeline: Timeline) -> TimelineResult:
    starts_s = timeline.scene_starts_s
    if not starts_s:
        return missing_part("scenes")
    evidence = []
    for number, (start_s, end_s) in enumerate(pairwise((*starts_s, timeline.duration_s)), 1):
        clip = timeline.clip_at(start_s)
        evidence.append(Evidence(clip.label, start_s, end_s, "frame", start_s, f"scene {number} begins", clip.video))
    times = ", ".join(map(format_timestamp, starts_s[:MAX_SCENES_SHOWN]))
    more = len(starts_s) - MAX_SCENES_SHOWN
    value = f"{len(starts_s)} {plural('scene', len(starts_s))}"
    others = f" and {more} more {plural('time', more)}" if more > 0 else ""
    begin = f"{value}; they begin at {times}{others}"
    return TimelineResult(begin, value, tuple(evidence))


def _overview(_: str, timeline: Timeline) -> TimelineResult:
    lines = timeline_lines(timeline)
    every = lines.occurrences
    if not every:
        return TimelineResult("the video has no lines", is_found=False)
    # Words that come back, but not everywhere, say what a part is about.
    weight = [0.0] * len(every)
    for places in lines.by_term.values():
        of_term = math.log(len(every) / len(places)) * min(len(places), 3)
        for place in places:
            weight[place] += of_term
    parts = np.linspace(0, len(every), min(OVERVIEW_PARTS, len(every)) + 1).round().astype(int)
    chosen = [max(range(start, end), key=weight.__getitem__) for start, end in pairwise(parts)]
    found = [every[index] for index in chosen]
    return _result(" ".join(map(_quoted, found)), found, f"{len(found)} of {_num_lines(every)}, one of each part")


def _length(_: str, timeline: Timeline) -> TimelineResult:
    value = format_timestamp(timeline.duration_s)
    end = timeline.clips[-1]
    seconds = timeline.duration_s
    evidence = Evidence(end.label, seconds, seconds, "frame", seconds, f"the video ends at {value}", end.video)
    clips = f"{len(timeline.clips)} {plural('clip', len(timeline.clips))}"
    return TimelineResult(f"the video is {value} long, in {clips}", value, (evidence,))


def _quoted(each: Occurrence) -> str:
    return f"“{each.line.text}” ({format_timestamp(each.line.start_s)})"


def _num_lines(found: Sequence[Occurrence]) -> str:
    return f"{len(found)} {plural('line', len(found))}"


_FOR_WORDS = ("find", "count", "first", "last", "nth")
_FOR_SPEAKERS = ("speakers", "talk_time", "speaker_names")
_QUERIES: dict[str, Callable[[str, Timeline], TimelineResult]] = {
    "find": _find,
    "count": _count_words,
    "first": _first,
    "last": _last,
    "nth": _nth,
    "order": _order,
    "before": _before,
    "after": _after,
    "at": _at,
    "between": _between,
    "speakers": speakers,
    "talk_time": talk_time,
    "speaker_names": _speaker_names,
    "screen_texts": _screen_texts,
    "scenes": _scenes,
    "sounds": sounds,
    "objects": objects,
    "overview": _overview,
    "length": _length,
}

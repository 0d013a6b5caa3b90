"""Questions about a time in a video, or the span between two."""

from __future__ import annotations

import re

from longvideoagent.agents.offline.question_lists import names_in
from longvideoagent.agents.offline.question_patterns import TimelineQuestion
from longvideoagent.agents.offline.question_words import (
    AFTER_TIME,
    AT,
    AT_A_MOMENT,
    BEFORE_TIME,
    BRIEF,
    COUNT,
    FIRST,
    LAST,
    LENGTH,
    MOST,
    NOT,
    NTH,
    SAY,
    SEE,
    TEXTS,
    WHO,
    YES_NO,
)
from longvideoagent.core.timefmt import NamedTime, find_durations, format_timestamp

_JOINS_TIMES = re.compile(
    r"\s*(?:and|to|until|till|through|bis|und|à|a|et|y|hasta|[-–—~～]|到|至|から|和|と)\s*", re.IGNORECASE
)
_BEHIND_TIME = re.compile(
    r"\A\s*(?:mark\b|into\b|in\b(?! (?:the|total))|[,:?.]|\Z|的|处|時|で|に|の|s mark)", re.IGNORECASE
)
_WORD_BEFORE_TIME = re.compile(rf"(?:{AT.pattern})\W*(?:\w+\W+)?\Z", re.IGNORECASE)
_GOES_TO = re.compile(r"\b(?:go|jump|skip|seek|move|forward|rewind|springe?|geh) (?:to|zu|back to)\W*\Z", re.IGNORECASE)
_SUBTITLES = re.compile(r"\bsubtitles?\b|\buntertitel|\bsous-titres?|\bsubtítulos?|字幕", re.IGNORECASE)
_MANY_LINES = re.compile(r"\bhow many (?:lines|sentences)\b|\bwie viele (?:zeilen|sätze)\b", re.IGNORECASE)
_MANY_PEOPLE = re.compile(
    r"\bhow many (?:\w+ )?(?:people|persons|speakers|characters)\b|\bwie viele (?:\w+ )?(?:personen|leute|sprecher)\b"
    r"|\bcombien de (?:personnes|gens)\b|\bcuántas personas\b|多少人|几个人|何人",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?<![\d ])(?<!\d ) ?[-−]\d", re.IGNORECASE)
"""A time before the start of the video."""
_OPENS_SPAN = re.compile(r"\b(?:between|from|zwischen|von|entre|desde)\b.*\d.*\d", re.IGNORECASE)
"""A span of which only one end is read as a time."""


def about_times(question: str) -> TimelineQuestion | None:
    """A question that names one time or two as places in the video."""
    clocks = find_durations(question)
    if not clocks or _is_more(question) or _NEGATIVE.search(question):
        return None
    if len(clocks) == 2 and _JOINS_TIMES.fullmatch(question[clocks[0].end : clocks[1].start]):
        start, end = (format_timestamp(each.time_s) for each in clocks)
        return _in_span(question, f"between {start} {end}", f"{start}-{end}: ")
    if len(clocks) != 1 or _OPENS_SPAN.search(question):
        return None
    clock, time = clocks[0], format_timestamp(clocks[0].time_s)
    is_clock = ":" in question[clock.start : clock.end]
    if is_clock and (query := _relative_to(question, clock)):
        return _near_time(question, f"{query} {time}", query)
    if not _is_place(question, clock) or (not is_clock and AT_A_MOMENT.search(question)):
        return None
    return _in_span(question, f"at {time}", f"{time}: ")


def _is_more(question: str) -> bool:
    """Whether a question needs more than the lines at its times: to count or compare them, or to say yes or no."""
    has_number = COUNT.search(question) and not (_MANY_LINES.search(question) or _MANY_PEOPLE.search(question))
    is_compared = MOST.search(question) and WHO.search(question)
    has_rank = any(re.search(rf"(?<!\w)(?:{words})(?!\w)", question, re.IGNORECASE) for _, words, _ in NTH)
    is_length = LENGTH.search(question) is not None
    return bool(has_number or is_compared or has_rank or is_length or YES_NO.match(question) or NOT.search(question))


def _relative_to(question: str, clock: NamedTime) -> str:
    """``before`` or ``after`` where a question asks for the lines on that side of a time; else empty."""
    for query, words in (("before", BEFORE_TIME), ("after", AFTER_TIME)):
        before, behind = words
        if before.search(question[: clock.start]) or behind.match(question[clock.end :]):
            return query
    return ""


def _near_time(question: str, query: str, side: str) -> TimelineQuestion | None:
    """The line nearest to a time on one side, or who says it, if nothing else is asked."""
    far_end = FIRST if side == "before" else LAST
    if far_end.search(question) or TEXTS.search(question) or BRIEF.search(question):
        return None
    if WHO.search(question):
        return TimelineQuestion(query, "speaker") if SAY.search(question) else None
    if SEE.search(question) and not SAY.search(question):
        return None
    return TimelineQuestion(f"{query}{_speaker_of(question)}")


def _speaker_of(question: str) -> str:
    """`` by NAME`` if a question asks what one person says; else empty."""
    names = names_in(question)
    return f" by {names[0]}" if len(names) == 1 and SAY.search(question) else ""


def _is_place(question: str, named: NamedTime) -> bool:
    """Whether a time is a place in the video and not a duration: it has clock form, or a word says so."""
    if ":" in question[named.start : named.end]:
        return True
    rest = question[named.end :]
    if re.match(r"\s*(?:into|mark)\b", rest, re.IGNORECASE) or _GOES_TO.search(question[: named.start]):
        return True
    is_after_at = _WORD_BEFORE_TIME.search(question[: named.start]) is not None
    return is_after_at and (_BEHIND_TIME.match(rest) is not None or SAY.search(question) is not None)


def _in_span(question: str, query: str, span: str) -> TimelineQuestion | None:
    """What is asked of a time or span: a text on screen, who speaks, or what is said."""
    is_span = query.startswith("between")
    has_speech = _SUBTITLES.search(question) is not None
    if BRIEF.search(question) and not has_speech:
        return TimelineQuestion(asked="brief", look=f"{span}a text that flashes up briefly")
    if TEXTS.search(question) and not has_speech:
        return TimelineQuestion(asked="texts", look=f"{span}what does the sign or text say?")
    if WHO.search(question):
        return (
            TimelineQuestion(query, "names" if is_span else "speaker")
            if SAY.search(question) or has_speech or is_span
            else None
        )
    if SEE.search(question) and not SAY.search(question) and not has_speech:
        return None
    if _MANY_PEOPLE.search(question):
        return TimelineQuestion(query, "num_names") if SAY.search(question) else None
    query += _speaker_of(question)
    if _MANY_LINES.search(question):
        return TimelineQuestion(query, "num_lines")
    return TimelineQuestion(query, "lines" if is_span else "line")

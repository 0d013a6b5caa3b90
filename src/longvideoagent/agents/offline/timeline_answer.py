"""The offline master's answers to questions about a whole video: it queries the timeline, and answers what that has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from longvideoagent.agents.offline.question_kinds import TimelineQuestion, timeline_question
from longvideoagent.core.actions import QueryTimeline
from longvideoagent.core.timefmt import times_in_s
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Evidence, TimelineResult
from longvideoagent.index.query import AT_LEAST
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms

CONFIDENCE = 0.8
"""Of an answer that the timeline has exactly."""
WEAK_CONFIDENCE = 0.4
"""Of lines that stand for a whole video, of a word that no line has: it may be said in other words, and of a count in
a video whose text was read in part."""
TIME_TOLERANCE_S = 5.0
"""How far an option's time may be from the line's."""
_NUMBER_WORDS = ("zero", "once", "twice", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class TimelineAnswer(NamedTuple):
    """An answer to the question, with its confidence and evidence."""

    text: str
    confidence: float
    evidence: tuple[Evidence, ...]


def next_query(trace: Trace) -> str:
    """The query to begin with, or an empty text for a question that the timeline does not answer."""
    if not trace.settings.timeline_tools or trace.is_last_round or _result(trace) is not None:
        return ""
    question = timeline_question(trace.question.text)
    return question.query if question else ""


def timeline_answer(trace: Trace) -> TimelineAnswer | None:
    """The answer that the queried timeline gives, or None if it has none: of options, exactly one must be it."""
    question, result = timeline_question(trace.question.text), _result(trace)
    if question is None or result is None or not (result.is_found or result.value):
        return None
    value = _value(question, result)
    options = trace.question.options
    is_weak = question.query == "overview" or not result.is_found or value.startswith(AT_LEAST)
    confidence = WEAK_CONFIDENCE if is_weak else CONFIDENCE
    if options:
        exact = value.removeprefix(AT_LEAST)
        fitting = [index for index, option in enumerate(options) if _fits(option, exact, options)]
        return TimelineAnswer(f"a{fitting[0]}", confidence, result.evidence) if len(fitting) == 1 else None
    return TimelineAnswer(value, confidence, result.evidence) if value else None


def _result(trace: Trace) -> TimelineResult | None:
    for round_ in trace.rounds:
        if isinstance(round_.action, QueryTimeline) and isinstance(round_.observation, TimelineResult):
            return round_.observation
    return None


def _value(question: TimelineQuestion, result: TimelineResult) -> str:
    line = result.evidence[0].text if result.evidence else ""
    if question.asks_for_speaker:
        return split_speaker(line).speaker
    if question.asks_for_words:
        return f"“{line}” ({result.value.removeprefix('at ')})"
    if question.query.startswith(("first", "last")):
        return f"{result.value}: “{line}”"
    return result.value


def _fits(option: str, value: str, options: Sequence[str]) -> bool:
    """Whether an option says the same as a value: an equal number, a time nearby, the same sequence, or the words."""
    if (count := _count(value)) is not None and any(_count(each) is not None for each in options):
        return _count(option) == count
    times, wanted_times = times_in_s(option), times_in_s(value)
    if times and wanted_times:
        return abs(times[0] - wanted_times[0]) <= TIME_TOLERANCE_S
    value_terms = terms(re.sub(r", \d+ lines$", "", value))
    option_terms = terms(option)
    if not option_terms:
        return False
    if "," in value and len(option_terms) > 1:
        return [term for term in option_terms if term in value_terms] == list(value_terms)
    return set(option_terms) <= set(value_terms)


def _count(text: str) -> int | None:
    """The number of times that a text names, or None."""
    match = re.fullmatch(r"\W*(?:(\d{1,6})|([a-z]+))(?:\s+times?)?\W*", text.strip().lower())
    if match is None:
        return None
    if match[1]:
        return int(match[1])
    return _NUMBER_WORDS.index(match[2]) if match[2] in _NUMBER_WORDS else {"one": 1, "two": 2}.get(match[2])

"""The offline master's answers to questions about a whole video: it queries the timeline or looks, and answers what
that has, in a short sentence with the value first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, assert_never

from longvideoagent.agents.offline.event_questions import event_question
from longvideoagent.agents.offline.question_kinds import timeline_question
from longvideoagent.agents.offline.question_patterns import TimelineQuestion
from longvideoagent.agents.offline.screen_texts import ShownText, brief_texts, is_column, shown_texts, signs
from longvideoagent.core.actions import Action, Look, QueryTimeline
from longvideoagent.core.answer_match import is_exact_match, match_order, match_set, numbers_in
from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import durations_in_s, format_timestamp, times_in_s
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Evidence, TimelineResult, VisionResult
from longvideoagent.index.events import covered_s
from longvideoagent.index.lines import AT_LEAST
from longvideoagent.index.query import MAY_BE_MORE, NOT_FOUND
from longvideoagent.index.query_events import NOT_DETECTED, span
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms

CONFIDENCE = 0.8
"""Of an answer that the timeline has exactly."""
EVENT_CONFIDENCE = 0.5
"""Of what a detector found."""
ABSENCE_CONFIDENCE = 0.35
"""Of what no detector found: they overlook more than they make up."""
SEEN_CONFIDENCE = 0.6
"""Of a text that alone was seen at the time that the question names."""
WEAK_CONFIDENCE = 0.4
"""Of lines that stand for a whole video, of a word that no line has, which may be said in other words, of a count in a
video whose text was read in part, of speakers whom many lines do not name, of words of a person whom the question does
not name, and of texts of which some may not have been seen."""
TIME_TOLERANCE_S = 5.0
"""How far an option's time may be from the line's."""
_WHOLE = re.compile(
    r"\A\W*how (?:often|many times)\b|\bmost (?:often|frequently)\b|\bsecond[- ](?:to[- ])?last\b|\bpenultimate\b"
    r"|\b(?:talk|speak|say)s? (?:much |far )?(?:more|less|the least|the most)\b|\bnot (?:speak|talk|say)\b",
    re.IGNORECASE,
)
"""Questions that one moment cannot answer, though they have no kind."""
SPEAKER_NAMES = "speaker_names"
"""The query for the names of people, which are not signs."""


class TimelineAnswer(NamedTuple):
    """An answer to the question, with its confidence and evidence. An empty text abstains."""

    text: str
    confidence: float
    evidence: tuple[Evidence, ...]


class _Value(NamedTuple):
    """What was found: the answer as a sentence, and the value in it by which options are compared."""

    text: str
    kind: str
    """``number``, ``time``, ``order``, ``set``, ``lines`` or ``text``."""
    items: tuple[str, ...]
    confidence: float
    evidence: tuple[Evidence, ...]


def is_whole_video(trace: Trace) -> bool:
    """Whether the question is about the whole video, of a known kind or not, and the master may query its timeline."""
    text = trace.question.text
    return trace.settings.timeline_tools and (timeline_question(text) is not None or _WHOLE.search(text) is not None)


def next_action(trace: Trace) -> Action | None:
    """The query or look that comes next, or None for a question that the timeline does not answer."""
    question = _question(trace)
    if question is None or trace.is_last_round:
        return None
    results = _results(trace)
    if question.query and not results:
        return QueryTimeline(question.query)
    is_listed = question.asked == "texts" and bool(question.query) and results[0].is_found
    needs_look = bool(question.look) and trace.settings.has_vision and not is_listed
    if _looks(trace) or not (needs_look or (is_listed and _screen_facts(trace))):
        return None
    names_known = any(
        isinstance(each.action, QueryTimeline) and each.action.query == SPEAKER_NAMES for each in trace.rounds
    )
    if not names_known and trace.rounds_left >= (3 if needs_look else 2):
        return QueryTimeline(SPEAKER_NAMES)
    return Look(question.look) if needs_look else None


def timeline_answer(trace: Trace) -> TimelineAnswer | None:
    """The answer that the queried timeline and the looks give, or None if they have none: of options, exactly one must
    be it."""
    question = _question(trace)
    if question is None or not (_results(trace) or _looks(trace)):
        return None
    value = _value(question, trace)
    options = trace.question.options
    if options:
        fitting = _fitting(value, options, trace.language) if value else []
        if value is None or len(fitting) != 1:
            return None
        is_seen = bool(question.look) and value.confidence == WEAK_CONFIDENCE  # one option fits better than the others
        confidence = SEEN_CONFIDENCE if is_seen else value.confidence
        return TimelineAnswer(f"a{fitting[0]}", confidence, value.evidence)
    return TimelineAnswer(value.text, value.confidence, value.evidence) if value else TimelineAnswer("", 0.0, ())


def _question(trace: Trace) -> TimelineQuestion | None:
    """What the question asks of the timeline, or None."""
    if not trace.settings.timeline_tools:
        return None
    text = trace.question.text
    known = [each for located in trace.groundings for each in located.evidence if each.label]
    of_events = event_question(text, known) if known else None
    if of_events is not None and of_events.asked == "labels":  # a time alone would ask for what is said then
        return of_events
    return timeline_question(text) or of_events


def _results(trace: Trace) -> list[TimelineResult]:
    return [each.observation for each in trace.rounds if isinstance(each.observation, TimelineResult)]


def _looks(trace: Trace) -> list[VisionResult]:
    return [each.observation for each in trace.rounds if isinstance(each.observation, VisionResult)]


def _screen_facts(trace: Trace) -> list[Evidence]:
    """What looks and the index have of texts on screen, in columns."""
    facts = [fact for look in _looks(trace) for fact in look.evidence]
    return facts + [fact for result in _results(trace) for fact in result.evidence if is_column(fact)]


def _value(question: TimelineQuestion, trace: Trace) -> _Value | None:
    """What was found, or None."""
    results = _results(trace)
    if question.look and (_screen_facts(trace) or not (question.query and results and results[0].is_found)):
        return _seen(question, trace)
    if not results or not (results[0].is_found or results[0].value):
        return None
    result = results[0]
    name, _, _rest = question.query.partition(" ")
    confidence, evidence = _confidence(question, result), result.evidence
    lines = tuple(split_speaker(each.text).words for each in evidence)
    speakers = tuple(dict.fromkeys(who for each in evidence if (who := split_speaker(each.text).speaker)))
    cited = " ".join(f"“{each.text}” ({format_timestamp(each.start_s)})" for each in evidence)
    match question.asked:
        case "speaker":
            return _who(evidence[-1:] if name == "before" else evidence[:1], confidence)
        case "names":
            return _Value(", ".join(speakers), "set", speakers, confidence, evidence) if speakers else None
        case "line" | "lines":
            return _Value(cited, "lines", lines, confidence, evidence)
        case "num_lines" | "num_names":
            items, text = _number(question, lines, speakers)
            text = f"{AT_LEAST if result.num_unnamed else ''}{text}"
            return _Value(text, "number", (str(len(items)),), confidence, evidence)
        case "earliest" | "is_before" | "is_after" | "is_more":
            return _compared(question, result, confidence)
        case "spans" | "first_span" | "last_span" | "duration" | "num_spans" | "has_span" | "num_at_once" | "labels":
            return _of_events(question, result)
        case "value" | "texts" | "brief":
            text = re.sub(r"\bby ", "", result.value) if name == "order" else result.value
            text += f": “{evidence[0].text}”" if name in ("first", "last", "nth") else ""
            return _Value(text, _kind(name, question.query), _items(name, result.value), confidence, evidence)
        case _:
            assert_never(question.asked)


def _number(
    question: TimelineQuestion, lines: tuple[str, ...], speakers: tuple[str, ...]
) -> tuple[tuple[str, ...], str]:
    """What is counted, and how many these are."""
    is_lines = question.asked == "num_lines"
    return (
        (lines, f"{len(lines)} {plural('line', len(lines))}")
        if is_lines
        else (speakers, f"{len(speakers)}: {', '.join(speakers)}")
    )


def _of_events(question: TimelineQuestion, result: TimelineResult) -> _Value:
    """What detectors found. An object only seems to be there."""
    labels, evidence = dict.fromkeys(each.label for each in result.evidence), result.evidence
    times = f"{', '.join(labels)} ({result.value})"
    match question.asked:
        case "labels" if result.value == NOT_DETECTED:
            return _Value(f"none of the {evidence[0].label}", "text", ("none",), ABSENCE_CONFIDENCE, evidence)
        case "labels":
            names = tuple(name for label in labels for name in label.split(", "))
            return _Value(result.value, "set", names, WEAK_CONFIDENCE, evidence)
        case "has_span":
            if result.value == NOT_DETECTED:
                perceived = "heard" if evidence[0].kind == "sound" else "seen"
                answer = f"No, it seems: {evidence[0].label} is not {perceived} ({span(evidence[0])})"
                return _Value(answer, "text", ("No",), ABSENCE_CONFIDENCE, evidence)
            return _Value(f"Yes, it seems: {times}", "text", ("Yes",), EVENT_CONFIDENCE, evidence)
        case "num_at_once":
            count = max(each.num_at_once for each in evidence)
            value = f"at least {count} at once, it seems: {times}"
            return _Value(value, "number", (str(count),), WEAK_CONFIDENCE, evidence)
        case "first_span" | "last_span":
            one = evidence[0] if question.asked == "first_span" else evidence[-1]
            start = f"at {format_timestamp(one.start_s)}"
            return _Value(start, "time", (start,), EVENT_CONFIDENCE, (one,))
        case "duration":
            total = format_timestamp(covered_s(evidence))
            return _Value(f"{total} in all, it seems: {times}", "time", (total,), WEAK_CONFIDENCE, evidence)
        case "num_spans":
            often = "once" if len(evidence) == 1 else f"{len(evidence)} times"
            value = f"{often}, it seems: {times}"
            return _Value(value, "number", (str(len(evidence)),), WEAK_CONFIDENCE, evidence)
        case _:
            start = format_timestamp(evidence[0].start_s)
            when = f"{'at' if span(evidence[0]) == start else 'from'} {result.value}"
            return _Value(when, "time", (f"at {start}",), EVENT_CONFIDENCE, evidence)


def _confidence(question: TimelineQuestion, result: TimelineResult) -> float:
    """Less where the result is a part, a choice, or only near what was asked."""
    name = question.query.partition(" ")[0]
    is_weak = question.is_of_someone or not result.is_found or result.value.startswith(AT_LEAST)
    is_weak |= name in ("overview", "scenes", "screen_texts") or result.num_unnamed > 0
    is_weak |= name == "order" and NOT_FOUND in result.value
    is_weak |= name in ("first", "last", "nth") and result.text.endswith(MAY_BE_MORE)
    is_weak |= name == "at" and not _covers(result.evidence, question.query)
    return WEAK_CONFIDENCE if is_weak else CONFIDENCE


def _covers(lines: tuple[Evidence, ...], query: str) -> bool:
    """Whether a line is spoken at the time of a query; else the nearest one was found."""
    times = times_in_s(query)
    return any(each.start_s - 1 <= time_s <= each.end_s + 1 for each in lines for time_s in times[:1])


def _who(lines: tuple[Evidence, ...], confidence: float) -> _Value | None:
    """Who says a line, or None if it names nobody."""
    speakers = tuple(who for each in lines if (who := split_speaker(each.text).speaker))
    return _Value(speakers[0], "text", speakers, confidence, lines) if speakers else None


def _compared(question: TimelineQuestion, result: TimelineResult, confidence: float) -> _Value | None:
    """The earliest of several things, or whether the first of two comes before or after the other, or has more; None if
    one of these never occurs, or both at once."""
    if question.asked == "is_more":
        most = _items("speakers", result.value)[0]
        names = question.query.partition(" ")[2].casefold()  # the subtitles may write names in another case
        answer = "Yes" if names.startswith(f"{most.casefold()} ;") else "No"
        return _Value(f"{answer}: {result.value}", "text", (answer,), confidence, result.evidence)
    first = _items("order", result.value)[0]
    if question.asked == "earliest":
        text = f"{first}, at {format_timestamp(result.evidence[0].start_s)}"
        return _Value(text, "text", (first,), confidence, result.evidence)
    if NOT_FOUND in result.value or len({each.start_s for each in result.evidence}) < 2:
        return None
    is_before = question.query.startswith((f"order {first} ;", f"order by {first} ;"))
    answer = "Yes" if is_before == (question.asked == "is_before") else "No"
    return _Value(f"{answer}: {result.text.splitlines()[0]}", "text", (answer,), confidence, result.evidence)


def _kind(name: str, query: str) -> str:
    if name == "talk_time":
        return "time" if query != name and ";" not in query else "text"
    kinds = {
        "count": "number",
        "scenes": "number",
        "first": "time",
        "last": "time",
        "nth": "time",
        "length": "time",
        "order": "order",
    }
    return kinds.get(name, "set" if name == "screen_texts" else "text")


def _items(name: str, value: str) -> tuple[str, ...]:
    """The parts of a value by which options are compared."""
    if name in ("order", "screen_texts"):
        parts = (part.strip() for part in value.partition(f"({NOT_FOUND}")[0].split(","))
        return tuple(part.removeprefix("by ") for part in parts if part)
    if name in ("speakers", "talk_time"):
        return (re.sub(rf", (?:{AT_LEAST})?\d+ (?:lines?|s)$", "", value),)
    return (value,)


# --- texts on screen -------------------------------------------------------------------------------


def _seen(question: TimelineQuestion, trace: Trace) -> _Value | None:
    """The texts that looks have found, or that the index has."""
    texts = shown_texts(_screen_facts(trace), _known_names(trace))
    if question.asked == "brief":
        chosen = brief_texts(texts)[:1]
        confidence = SEEN_CONFIDENCE if len(brief_texts(texts)) == 1 else WEAK_CONFIDENCE
    else:
        chosen = signs(texts, _place(trace.question.text))
        confidence = SEEN_CONFIDENCE if len(chosen) == 1 and not question.query else WEAK_CONFIDENCE
        if not question.query:
            chosen = _nearest(chosen)[:1]
    if not chosen:
        return None
    items = tuple(each.text for each in chosen)
    evidence = tuple(dict.fromkeys(each.fact for each in chosen))
    return _Value(", ".join(items), "set" if question.query else "text", items, confidence, evidence)


def _known_names(trace: Trace) -> set[str]:
    """The speakers of all lines that are known."""
    texts = [each.text for result in _results(trace) for each in result.evidence]
    texts += [line.text for located in trace.groundings for clip in located.window for line in clip.subtitles]
    return {name for text in texts if (name := split_speaker(text).speaker)}


def _place(question: str) -> str:
    match = re.search(r"\b(top|bottom|left|right|middle)\b", question, re.IGNORECASE)
    return match[1].lower() if match else "top" if re.search(r"\bsigns?\b", question, re.IGNORECASE) else ""


def _nearest(texts: Sequence[ShownText]) -> list[ShownText]:
    """The texts by how long they are seen, the longest first."""
    return sorted(texts, key=lambda each: each.fact.start_s - each.fact.end_s)


# --- options ---------------------------------------------------------------------------------------


def _fitting(value: _Value, options: Sequence[str], language: str) -> list[int]:
    """The options that say the same as a value."""
    match value.kind:
        case "number":
            wanted = numbers_in(value.items[0])[:1]
            fits = [bool(wanted) and numbers_in(option)[:1] == wanted for option in options]
        case "time":
            return _nearest_times(durations_in_s(value.items[0])[:1], options)
        case "order":
            fits = [match_order(option, value.items) == 1 for option in options]
        case "set":
            f1 = [match_set(option, value.items).f1 for option in options]
            fits = [each == max(f1) and each > 0 for each in f1]
        case "lines":
            fits = [is_exact_match(line, [option]) for option in options for line in [" ".join(value.items)]]
        case _:
            fits = [
                is_exact_match(option, value.items) or is_exact_match(value.items[0], [option]) for option in options
            ]
            if not any(fits):
                wanted_terms = set(terms(value.items[0], language))
                fits = [
                    bool(own) and own <= wanted_terms for own in (set(terms(option, language)) for option in options)
                ]
    return [index for index, is_fitting in enumerate(fits) if is_fitting]


def _nearest_times(wanted_s: Sequence[float], options: Sequence[str]) -> list[int]:
    """The option whose time is nearest, if it is near."""
    if not wanted_s:
        return []
    gaps_s = [
        min((abs(each - wanted_s[0]) for each in durations_in_s(option)), default=float("inf")) for option in options
    ]
    nearest_s = min(gaps_s)
    return [index for index, gap_s in enumerate(gaps_s) if gap_s == nearest_s and gap_s <= TIME_TOLERANCE_S]

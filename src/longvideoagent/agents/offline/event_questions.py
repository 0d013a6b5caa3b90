"""Questions for sounds and objects: when, whether and how many, which ones, and what is there at a time.

They are asked of what detectors have found, in English, as the labels are. A question that names nothing that was found
has no kind, and goes the way of retrieval and looks: a detector knows few things.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from longvideoagent.agents.offline.question_kinds import MAX_QUESTION_CHARS
from longvideoagent.agents.offline.question_patterns import Asked, TimelineQuestion
from longvideoagent.core.timefmt import format_timestamp, times_in_s
from longvideoagent.core.types import Clip, Evidence, Timeline
from longvideoagent.index.event_labels import matching_labels
from longvideoagent.index.events import EventKind
from longvideoagent.index.lines import has_spoken_lines
from longvideoagent.index.query_events import absence, absence_of_all
from longvideoagent.index.sound_spans import is_voice
from longvideoagent.index.terms import terms
from longvideoagent.index.visible_objects import PERSON
from longvideoagent.media.cv import COLOURS

MAX_THING_WORDS = 5
MAX_CLIP_EVENTS, MAX_NAMED_EVENTS = 12, 8
"""Events of the located clip, and of the whole video by the words of the question, that grounding reports."""
_IN_VIDEO = (
    r"(?:\s+(?:(?:in|during|throughout) (?:the|this) (?:whole |entire )?(?:video|film|movie|clip|scene|episode|footage)"
    r"|on (?:the )?screen|in it|anywhere|at any (?:point|time)|at all|here))*"
)
_SEEN = r"(?:seen|visible|shown|on screen|in (?:view|sight))"
_AUDIBLE = r"(?:heard|audible)"
_HAPPENS = (
    r"(?:appears?|start(?:s|ed)?|begins?|happens?|happen(?:s|ed)?|occurs?|come up|shows? up|play(?:s|ing)?|go off)"
)
_LASTS = r"(?:plays?|lasts?|goes on|go on)"
_AUX = r"(?:is|are|was|were|does|do|did|can|could)"
_ANY = r"(?:any |a |an |some |the |one )?"
_PEOPLE = r"(?:anyone|anybody|someone|somebody|people|(?:the )?(?:audience|crowd|people))"
"""Nobody in particular: whose voice it is, a sound does not say."""
_VOICED = r"(?:speak|talk|sing|laugh|cheer|clap|applaud|scream|shout)"
_THING = r"(?P<thing>[a-z][a-z' -]*?)"
_PERCEIVED = (
    r"(?: (?:there|is|are|was|were|can|could|do|does|did|you|we|one|be|hear|heard|audible|see|seen|visible|shown|appear"
    r"|occur|happen|play))*"
)
_AT = r"(?P<at>(?:\s+(?:at|around|about)\s+[\d:.]+\s*s?)?)"


class _Form(NamedTuple):
    """How a question is asked, and for what."""

    pattern: re.Pattern[str]
    asked: Asked
    kinds: tuple[str, ...]


def _form(pattern: str, asked: Asked, *kinds: str) -> _Form:
    return _Form(re.compile(rf"\A{pattern}{_IN_VIDEO}\Z", re.IGNORECASE), asked, kinds or ("objects", "sounds"))


_FORMS = (
    _form(rf"(?:what|which) (?:kinds? of )?(?:sounds?|noises?){_PERCEIVED}{_AT}", "labels", "sounds"),
    _form(rf"(?:list|name) (?:all |every )?(?:the )?(?:sounds?|noises?){_AT}", "labels", "sounds"),
    _form(rf"what (?:can|do|does|is|are) (?:be |you |we |one |to be )?(?:hear|heard){_AT}", "labels", "sounds"),
    _form(rf"(?:what|which) (?:kinds? of )?(?:objects?|items?){_PERCEIVED}{_AT}", "labels", "objects"),
    _form(rf"(?:list|name) (?:all |every )?(?:the )?(?:objects?|items?){_AT}", "labels", "objects"),
    _form(rf"(?:when|at what time|where) (?:can|do|could) (?:you|we|one) hear {_ANY}{_THING}", "spans", "sounds"),
    _form(rf"(?:when|at what time|where) (?:can|do|could) (?:you|we|one) see {_ANY}{_THING}", "spans", "objects"),
    _form(rf"(?:when|at what time) {_AUX} {_ANY}{_THING} (?:be )?{_AUDIBLE}", "spans", "sounds"),
    _form(rf"(?:when|at what time) {_AUX} {_ANY}{_THING} (?:be )?{_SEEN}", "spans", "objects"),
    _form(rf"(?:when|at what time) {_AUX} (?:there )?{_ANY}{_THING}(?: (?:first )?{_HAPPENS})?", "spans"),
    _form(rf"(?:can|do|could) (?:you|we|one) hear {_ANY}{_THING}", "has_span", "sounds"),
    _form(rf"(?:can|do|could) (?:you|we|one) see {_ANY}{_THING}", "has_span", "objects"),
    _form(rf"(?:is|are|was|were) there {_ANY}{_THING}", "has_span"),
    _form(rf"(?:is|are|was|were|can) {_ANY}{_THING} (?:be )?{_AUDIBLE}", "has_span", "sounds"),
    _form(rf"(?:is|are|was|were|can) {_ANY}{_THING} (?:be )?{_SEEN}", "has_span", "objects"),
    _form(rf"(?:does|do|did) {_ANY}{_THING} {_HAPPENS}", "has_span"),
    _form(rf"(?:does|do|did) {_PEOPLE} (?P<thing>{_VOICED})", "has_span", "sounds"),
    _form(rf"(?:is|are) {_PEOPLE} (?P<thing>{_VOICED}ing)", "has_span", "sounds"),
    _form(rf"how many {_THING} (?:are|were) (?:there|{_SEEN})", "num_at_once", "objects"),
    _form(rf"how many {_THING} (?:can|do|could) (?:be|you|we|one) (?:see|seen)", "num_at_once", "objects"),
    _form(rf"how many {_THING} appear", "num_at_once", "objects"),
    _form(rf"(?:for )?how long {_AUX} {_ANY}{_THING} (?:be )?{_AUDIBLE}", "duration", "sounds"),
    _form(rf"(?:for )?how long {_AUX} {_ANY}{_THING} (?:be )?{_SEEN}", "duration", "objects"),
    _form(rf"(?:for )?how long {_AUX} {_ANY}{_THING}(?: {_LASTS})?", "duration"),
    _form(rf"how much {_THING} (?:is|are) there", "duration", "sounds"),
    _form(rf"how (?:often|many times) {_AUX} {_ANY}{_THING} (?:be )?{_AUDIBLE}", "num_spans", "sounds"),
    _form(rf"how (?:often|many times) {_AUX} {_ANY}{_THING} (?:be )?{_SEEN}", "num_spans", "objects"),
    _form(rf"how (?:often|many times) {_AUX} (?:there )?{_ANY}{_THING}(?: {_HAPPENS})?", "num_spans"),
)
_EVENT_KINDS = {"sounds": EventKind.SOUND, "objects": EventKind.OBJECT}
_END = re.compile(r"\s+(?:(?:for\s+)?the\s+)?(?:very\s+)?(first|last)(?:\s+time)?(?:\s+|\Z)", re.IGNORECASE)
_NAMED = re.compile(r"[A-Z][a-z]+ [a-z]+")
"""A person who does something: whose voice it is, a sound does not say."""
_MOMENT = re.compile(
    r"\b(?:after|before|when|while|during|between|until|as|who|that|which|not|no|none|only|other|without)\b",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(r"\b(?:of|on|in|at|about|with|for|from|by)\b", re.IGNORECASE)
_COLOUR_TERMS = frozenset(term for colour in COLOURS for term in terms(colour))
_ABOUT_SOUND = re.compile(r"\b(?:hear|heard|sounds?|noises?|audible)\b", re.IGNORECASE)
_ABOUT_OBJECTS = re.compile(r"\b(?:objects?|items?)\b", re.IGNORECASE)


def event_question(text: str, known: Sequence[Evidence]) -> TimelineQuestion | None:
    """The query that a question for sounds or objects asks for.

    Args:
        text: The question.
        known: The events that grounding has reported.

    Returns:
        The query; None if it is not such a question, or if it names nothing that was found.
    """
    match = _match_form(text)
    found = _of_form(match.form, match.parts, known) if match is not None else None
    return _at_end(found, match.end) if match is not None and found is not None and match.end else found


def absent_event(text: str, timeline: Timeline) -> Evidence | None:
    """That a video has not what a question asks for, as "Is there any music?" and "What can be heard?" do.

    Args:
        text: The question.
        timeline: That of the video.

    Returns:
        Its absence, if a detector knows such a thing and none has found it; else None.
    """
    match = _match_form(text)
    if match is not None and match.form.asked == "labels" and not match.parts["at"]:  # a line may be said then
        kind = _EVENT_KINDS[match.form.kinds[0]]
        return None if kind is EventKind.SOUND and has_spoken_lines(timeline) else absence_of_all(timeline, kind)
    if match is None or match.form.asked != "has_span":
        return None
    absent = _absent_thing(match.parts["thing"] or "", match.form, timeline)
    is_of_voices = absent is not None and absent.kind == "sound" and is_voice(absent.label)
    return None if is_of_voices and has_spoken_lines(timeline) else absent


def _absent_thing(thing: str, form: _Form, timeline: Timeline) -> Evidence | None:
    """The absence of a thing by the first detector that knows it; None if one of them has found it."""
    events = (*(timeline.sounds or ()), *(timeline.objects or ()))
    if not _is_plain(thing) or _PREPOSITION.search(thing) or _labels_of_thing(thing, {each.label for each in events}):
        return None
    known = {EventKind.SOUND: timeline.sound_labels, EventKind.OBJECT: timeline.object_labels}
    kinds = (_EVENT_KINDS[kind] for kind in form.kinds)
    absences = (absence(thing, timeline, kind) for kind in kinds if _labels_of_thing(thing, known[kind]))
    return next((each for each in absences if each is not None), None)


class _FormMatch(NamedTuple):
    """A question of a form."""

    form: _Form
    parts: dict[str, str | None]
    end: str
    """``first`` or ``last`` if it asks for that time only."""


def _match_form(text: str) -> _FormMatch | None:
    """A question by the first form that it has; None if it has none."""
    question = " ".join(text.split()).rstrip("?!. ")
    if len(question) > MAX_QUESTION_CHARS:
        return None
    end = _END.search(question)
    if end is not None:
        question = _END.sub(" ", question, count=1).strip()
    matches = ((form, form.pattern.match(question)) for form in _FORMS)
    return next(
        (_FormMatch(form, match.groupdict(), end[1].lower() if end else "") for form, match in matches if match), None
    )


def _at_end(found: TimelineQuestion, end: str) -> TimelineQuestion | None:
    """The question for the first or the last time only, which only "when" has."""
    if found.asked != "spans":
        return None
    return replace(found, asked="first_span" if end == "first" else "last_span")


def _of_form(form: _Form, parts: dict[str, str | None], known: Sequence[Evidence]) -> TimelineQuestion | None:
    thing = parts.get("thing")
    if thing is None:
        times = times_in_s(parts.get("at") or "")
        is_known = any(_kind(each) in form.kinds for each in known)
        query = f"{form.kinds[0]} {format_timestamp(times[0]) if times else ''}".strip()
        return TimelineQuestion(query, form.asked) if is_known else None
    if not _is_plain(thing):
        return None
    named = _labels_of_thing(thing, {each.label for each in known})
    named = named - {PERSON} or named  # of "people laughing", the laughter is asked for
    kinds = {_kind(each) for each in known if each.label in named}
    kind = next((kind for kind in form.kinds if kind in kinds), None)
    return None if kind is None else TimelineQuestion(f"{kind} {thing}", form.asked)


def _is_plain(thing: str) -> bool:
    """Whether a thing may be one that a detector knows: of no one in particular, at no moment, in a few words."""
    is_of_someone = _NAMED.match(thing) is not None
    return not (is_of_someone or _MOMENT.search(thing) or len(thing.split()) > MAX_THING_WORDS)


def _labels_of_thing(thing: str, labels: Collection[str]) -> frozenset[str]:
    """The labels that a thing names; none if its last word, besides what it is doing, is not part of one ("dog born",
    but "dog barking" and "sports car"), or if it has a colour, which no detector knows."""
    words = thing.split()
    while len(words) > 1 and words[-1].endswith("ing") and not matching_labels(words[-1], labels):
        words.pop()
    *others, last = words
    before = " ".join(others[-1:])
    of_two_words = matching_labels(f"{before} {last}", labels) - matching_labels(before, labels)
    heads = matching_labels(last, labels) | of_two_words
    has_colour = not _COLOUR_TERMS.isdisjoint(terms(" ".join(others)))
    return frozenset() if has_colour or not heads else matching_labels(thing, labels)


def _kind(event: Evidence) -> str:
    return "sounds" if event.kind == "sound" else "objects"


def events_near(timeline: Timeline, question: str, clip: Clip) -> tuple[Evidence, ...]:
    """The events that grounding reports with a clip: those that the question names, in the whole video, and those in
    the clip, in order of time. A question for sounds or objects in general gets the longest one at least."""
    chosen: dict[Evidence, None] = {}
    for events, about in ((timeline.sounds, _ABOUT_SOUND), (timeline.objects, _ABOUT_OBJECTS)):
        if not events:
            continue
        named = _named_labels(question, frozenset(each.label for each in events))
        chosen |= dict.fromkeys([each for each in events if each.label in named][:MAX_NAMED_EVENTS])
        inside = [each for each in events if _is_in(each, clip)]
        chosen |= dict.fromkeys(inside[:MAX_CLIP_EVENTS])
        if about.search(question):
            chosen[max(events, key=lambda each: each.end_s - each.start_s)] = None
    return tuple(sorted(chosen, key=lambda each: (each.start_s, each.end_s)))


def clip_labels(timeline: Timeline) -> list[list[str]]:
    """What is heard and seen in each clip, each once."""
    starts_s, ends_s = [clip.start_s for clip in timeline.clips], [clip.end_s for clip in timeline.clips]
    labels: list[dict[str, None]] = [{} for _ in timeline.clips]
    for event in (*(timeline.sounds or ()), *(timeline.objects or ())):
        label = event.label
        for number in range(bisect_right(ends_s, event.start_s), bisect_right(starts_s, event.end_s)):
            if _is_in(event, timeline.clips[number]):  # of one that ends with a clip the next one is too much
                labels[number][label] = None
    return [[*each] for each in labels]


def _is_in(event: Evidence, clip: Clip) -> bool:
    begins_in = clip.start_s <= event.start_s < clip.end_s
    return begins_in or event.start_s < clip.start_s < event.end_s


@lru_cache(maxsize=64)
def _named_labels(question: str, labels: frozenset[str]) -> frozenset[str]:
    """The labels that single words of a question name, or two in a row."""
    words = re.findall(r"\w+", question)
    pairs = (" ".join(words[place : place + 2]) for place in range(len(words)))
    return frozenset(label for text in (*words, *pairs) for label in matching_labels(text, labels))

"""Questions about a whole video, as queries of its timeline: first, last, how often, in which order, who most, at a
time, between two times, all texts, how long, and what it is about.

Each kind is a pattern of an English question. Other questions have no kind, and go the way of retrieval.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_QUESTION_CHARS = 300
"""Longer questions have no kind: a pattern would find its words by chance."""
_TIME = r"\d{1,3}:\d{2}(?::\d{2})?|\d{1,5}(?:\.\d+)?\s*(?:s|sec|seconds?)\b"
_SAY = r"(?:says?|said|saying|mentions?|mentioned|mentioning|talks? about|talked about|speaks? of|spoke of|uses?|used)"
_SAID = r"(?:said|mentioned|spoken|talked about|named|comes? up|came up|occurs?|used|uttered)"
_TALK = r"(?:says?|said|talk\w*|discuss\w*|speaks?|speaking|spoken|happen\w*|going on|mentioned|shown)"
_HOW_OFTEN = r"how (?:many times|often|frequently)"
_AUX = r"(?:is|are|was|were|does|do|did|has|have)"
_WHO = r"(?:who|which (?:person|speaker|character))"
_WHAT_IS = r"what(?:'s| is| are| was| were)?"
_END = r"(?P<end>first|last|final)"
_ONE = r"(?:(?:person|one|character)\s+)?(?:to\s+)?"
_LINE = r"(?:thing|words?|line|sentence)s?"
_TEXTS = r"(?:signs?|texts?|slides?|titles?|captions?|words)"
_THING = r"(?:the )?(?:word|words|phrase|name|term|sentence|line)s?"
_VIDEO = r"(?:the |this )?(?:\w+ )?(?:video|film|movie|episode|clip|talk|lecture|recording|whole thing|footage)"
_WHEN = rf"(?:when|at what (?:time|point|minute)|where in {_VIDEO})"


@dataclass(frozen=True, slots=True)
class TimelineQuestion:
    """A question as a query of the timeline."""

    query: str
    """In the grammar of ``index.query``."""
    asks_for_speaker: bool = False
    """Whether the answer is who says the line, and not when."""
    asks_for_words: bool = False
    """Whether the answer is the line itself, and not when."""


_AT_A_MOMENT = re.compile(r"\b(?:after|before|while|until|as soon as)\b|(?<!^)\bwhen\b", re.IGNORECASE)
"""Such a question asks for one moment, not for the whole video."""
_Make = Callable[[re.Match[str]], TimelineQuestion | None]


def timeline_question(text: str) -> TimelineQuestion | None:
    """The query that a question asks for, or None if it has no kind that the timeline answers."""
    question = " ".join(text.split()).rstrip("?!. ")
    if len(question) > MAX_QUESTION_CHARS or _AT_A_MOMENT.search(question):
        return None
    for pattern, make in _KINDS:
        match = pattern.search(question)
        found = make(match) if match else None
        if found is not None:
            return found
    return None


def _words(text: str) -> str:
    """The words that are searched for, without what leads to them."""
    text = re.sub(rf"^(?:{_THING}|of|about|that|the|a|an)\s+", "", text.strip(" ,:"), flags=re.IGNORECASE)
    text = re.sub(rf"\s+(?:in|during|throughout|over|of|for)\s+{_VIDEO}$", "", text, flags=re.IGNORECASE)
    text = re.sub(r"\s+(?:in total|altogether|overall|first|for the first time)$", "", text, flags=re.IGNORECASE)
    return text.strip(" ,:;")


def _by(words: str, speaker: str | None) -> str:
    name = (speaker or "").strip()
    is_name = bool(name) and name.lower() not in ("anyone", "anybody", "someone", "somebody", "people", "they", "we")
    return f"{words} by {name}".strip() if is_name else words


def _count(match: re.Match[str]) -> TimelineQuestion | None:
    words = _words(match["words"])
    return TimelineQuestion(f"count {_by(words, match.groupdict().get('who'))}") if words else None


def _one(match: re.Match[str]) -> TimelineQuestion | None:
    groups = match.groupdict()
    words = _words(groups.get("words") or "")
    end = "last" if (groups.get("end") or "first").lower() in ("last", "final", "lastly") else "first"
    return TimelineQuestion(f"{end} {_by(words, groups.get('who'))}".strip())


def _who(match: re.Match[str]) -> TimelineQuestion | None:
    found = _one(match)
    return None if found is None else TimelineQuestion(found.query, asks_for_speaker=True)


def _line(match: re.Match[str]) -> TimelineQuestion | None:
    found = _one(match)
    return None if found is None else TimelineQuestion(found.query, asks_for_words=True)


def _order(match: re.Match[str]) -> TimelineQuestion | None:
    parts = [_words(part) for part in re.split(r",\s*(?:and|or)\s+|,\s*|\s+(?:and|or)\s+", match["list"])]
    wanted = [part for part in parts if part]
    return TimelineQuestion(f"order {' ; '.join(wanted)}") if len(wanted) > 1 else None


def _fixed(query: str) -> _Make:
    return lambda _: TimelineQuestion(query)


def _at(match: re.Match[str]) -> TimelineQuestion:
    return TimelineQuestion(f"at {match['time']}")


def _between(match: re.Match[str]) -> TimelineQuestion:
    return TimelineQuestion(f"between {match['start']} {match['end_time']}")


def _kind(pattern: str, make: _Make) -> tuple[re.Pattern[str], _Make]:
    return re.compile(pattern, re.IGNORECASE), make


_KINDS: tuple[tuple[re.Pattern[str], _Make], ...] = (
    _kind(rf"(?:between|from)\s+(?P<start>{_TIME})\s+(?:and|to|until|till)\s+(?P<end_time>{_TIME})", _between),
    _kind(rf"^(?:what|who)\b.{{0,60}}\b{_TALK}\b.{{0,40}}\bat\s+(?:\w+\s+)?(?P<time>{_TIME})$", _at),
    # how long
    _kind(rf"^how (?:long|many (?:minutes|seconds))\b.{{0,30}}\b{_VIDEO}(?: last| run| take)?$", _fixed("length")),
    _kind(rf"^what(?:'s| is) the (?:length|duration|running time|runtime) of {_VIDEO}$", _fixed("length")),
    # how often
    _kind(rf"^{_HOW_OFTEN}\s+{_AUX}\s+(?P<words>.+?)\s+(?:been\s+)?{_SAID}(?:\s.*)?$", _count),
    _kind(rf"^{_HOW_OFTEN}\s+{_AUX}\s+(?P<who>\S.{{0,40}}?)\s+{_SAY}\s+(?P<words>.+)$", _count),
    # who most
    _kind(rf"^{_WHO}\s+(?:\w+ )?(?:talks?|speaks?|says?)\b.{{0,20}}\bmost\b", _fixed("speakers")),
    _kind(rf"^{_WHO}\s+has the most (?:lines|to say|speech|text)$", _fixed("speakers")),
    # who first or last
    _kind(rf"^{_WHO}\s+(?:is|was)?\s*(?:the\s+)?{_END}\s+{_ONE}{_SAY}\s+(?P<words>.+)$", _who),
    _kind(rf"^{_WHO}\s+{_SAY}\s+(?P<words>.+?)\s+{_END}$", _who),
    _kind(rf"^{_WHO}\s+(?:is|was)?\s*(?:the\s+)?{_END}\s+{_ONE}(?:speaks?|talks?|says? something)(?:\s.*)?$", _who),
    _kind(rf"^{_WHO}\s+(?:speaks?|talks?)\s+{_END}$", _who),
    # what first or last
    _kind(
        rf"^{_WHAT_IS}\s+(?:the\s+)?(?:very\s+)?{_END}\s+{_LINE}\s+(?:that\s+)?(?:{_AUX}\s+)?{_SAID}(?:\s.*)?$", _line
    ),
    _kind(rf"^{_WHAT_IS}\s+(?:the\s+)?{_END}\s+{_LINE}\s+(?:that\s+)?(?P<who>\S.{{0,40}}?)\s+says?$", _line),
    _kind(rf"^what\s+(?:does|do|did)\s+(?P<who>\S.{{0,40}}?)\s+say\s+{_END}$", _line),
    # when
    _kind(
        rf"^{_WHEN}\s+{_AUX}\s+(?P<words>.+?)\s+{_END}?\s*{_SAID}(?:\s+(?:first|for the first time))?"
        rf"(?:\s+(?:in|during)\s+{_VIDEO})?$",
        _one,
    ),
    _kind(rf"^{_WHEN}\s+(?:does|do|did)\s+(?P<who>\S.{{0,40}}?)\s+{_END}?\s*{_SAY}\s+(?P<words>.+?)$", _one),
    # in which order
    _kind(rf"^in (?:which|what) order\b.*?\b{_AUX}\s+(?P<list>.+?)\s+(?:{_SAID}|speak|talk)(?:\s.*)?$", _order),
    _kind(
        rf"^(?:which|what)\b.{{0,40}}\b(?:comes?|is|was|came)\s+(?:{_SAID}\s+)?first\s*[:,-]?\s*(?P<list>.+)$", _order
    ),
    # all texts
    _kind(
        rf"^(?:list|name|give|what are|which are|show)\b.{{0,30}}\b(?:all|every|the)\b.{{0,20}}\b{_TEXTS}\b"
        r"(?:.{0,20}\b(?:screen|shown|video|film|seen|visible|appear\w*|episode))?$",
        _fixed("screen_texts"),
    ),
    _kind(rf"^(?:what|which)\s+{_TEXTS}\s+(?:are|can be|appear\w*|is)\b.{{0,40}}$", _fixed("screen_texts")),
    # what it is about
    _kind(r"^(?:please\s+)?(?:sum(?:mari[sz]e)?(?: up)?|give (?:me )?a summary of)\b.{0,30}$", _fixed("overview")),
    _kind(rf"^what(?:'s| is| does)\s+{_VIDEO}\s+(?:about|show|deal with|cover)(?: overall)?$", _fixed("overview")),
    _kind(rf"^what happens? in {_VIDEO}$", _fixed("overview")),
)

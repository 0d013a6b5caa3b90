"""Questions about a whole video that name the words they ask for without quotation marks: patterns by language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from longvideoagent.agents.offline.question_words import LAST

Asked = Literal[
    "value",
    "speaker",
    "line",
    "lines",
    "names",
    "num_lines",
    "num_names",
    "texts",
    "brief",
    "earliest",
    "is_before",
    "is_after",
    "is_more",
    "spans",
    "first_span",
    "last_span",
    "duration",
    "num_spans",
    "has_span",
    "num_at_once",
    "labels",
]


@dataclass(frozen=True, slots=True)
class TimelineQuestion:
    """A question as a query of the timeline, as a look, or as both."""

    query: str = ""
    """In the grammar of ``index.query``; empty if the timeline does not have it."""
    asked: Asked = "value"
    """What of the result is the answer: its value, the speaker or the words of the line, all lines or their speakers,
    how many of these, the earliest of several things, whether the first of two things is before or after the
    other, or the first of two people has more; of a look the texts on screen, or one that is shown briefly; of events
    when they are, when first or last, how long or how often, whether there are any, how many are seen at once, or
    what they are."""
    look: str = ""
    """What vision is asked; empty if no look is needed."""
    is_of_someone: bool = False
    """Whether a person whom it does not name says that ("she"): the lines of all are searched."""


_SAY = r"(?:says?|said|saying|mentions?|mentioned|mentioning|talks? about|talked about|speaks? of|spoke of|uses?|used)"
_SAID = r"(?:said|mentioned|spoken|talked about|named|comes? up|came up|occurs?|used|uttered|brought up)"
_HOW_OFTEN = r"how (?:many times|often|frequently)"
_AUX = r"(?:is|are|was|were|does|do|did|has|have)"
_WHO = r"(?:who|which (?:person|speaker|character))"
_WHAT_IS = r"what(?:'s| is| are| was| were)?"
_END = r"(?P<end>first|last|final)"
_ONE = r"(?:(?:person|one|character)\s+)?(?:to\s+)?"
_LINE = r"(?:thing|words?|line|sentence)s?"
_TEXTS = r"(?:signs?|texts?|slides?|titles?|captions?|words)"
_THING = r"(?:the )?(?:word|words|phrase|name|term|sentence|line)s?"
_FOREIGN_THING = (
    r"(?:(?:das|dem|des|der|den|le|la|el) )?"
    r"(?:wort(?:es)?|begriff|ausdruck|mot|terme|palabra|término)(?! (?:de|der|des|du|del)\b)"
)
A_PERSON = r"(?:the|this|that|a) (?:\w+ )?(?:man|woman|boy|girl|guy|lady)"
"""A person without a name."""
_NOBODY_NAMED = frozenset(
    ("anyone", "anybody", "someone", "somebody", "people", "they", "we", "he", "she", "jemand", "man", "er", "sie")
)
"""Who says something, if not a person whose name the subtitles may have."""
_VIDEO = r"(?:the |this )?(?:\w+ )?(?:video|film|movie|episode|clip|talk|lecture|recording|whole thing|footage)"
_WHEN = rf"(?:when|at what (?:time|point|minute)|where in {_VIDEO})"
_IS = r"(?:is|are|was|were|does|do|did|has|have)"
_TAIL = rf"(?P<tail>(?:\s+(?:{_IS}|{_SAID}|speaks?|talks?))*)"
_BEFORE = rf"(?:first\s+)?(?P<relation>before|after)\s+(?P<other>[^,;]{{1,60}}?){_TAIL}$"
_MENTIONED_BEFORE = re.compile(rf"^{_IS}\s+(?P<one>[^,;]{{1,60}}?)\s+(?:been\s+)?{_SAID}\s+{_BEFORE}", re.IGNORECASE)
_SPEAKS_BEFORE = re.compile(
    rf"^{_IS}\s+(?P<one>\w[\w .'-]{{0,40}}?)\s+(?:speak|talk|say (?:something|anything))\s+{_BEFORE}", re.IGNORECASE
)
_Make = Callable[[re.Match[str]], TimelineQuestion | None]


def is_before_pattern(question: str) -> TimelineQuestion | None:
    """Whether one thing is mentioned, or one person speaks, before or after another."""
    for pattern, by in ((_MENTIONED_BEFORE, ""), (_SPEAKS_BEFORE, "by ")):
        if match := pattern.search(question):
            one, other = f"{by}{_words(match['one'])}", f"{_by_of_tail(match['tail'], by)}{_words(match['other'])}"
            asked: Asked = "is_before" if match["relation"].lower() == "before" else "is_after"
            return TimelineQuestion(f"order {one} ; {other}", asked)
    return None


def _by_of_tail(tail: str, default: str) -> str:
    """``by `` if a verb of speaking stands behind the second thing, empty if one of mentioning does."""
    if re.search(r"\b(?:speaks?|talks?)\b", tail, re.IGNORECASE):
        return "by "
    return "" if re.search(rf"\b{_SAID}\b", tail, re.IGNORECASE) else default


def match_pattern(question: str) -> TimelineQuestion | None:
    """The question that a pattern reads, or None. ``question`` has no mark at its end."""
    for pattern, make in _PATTERNS:
        match = pattern.search(question)
        found = make(match) if match else None
        if found is not None:
            return found
    return None


def _words(text: str) -> str:
    """The words that are searched for, without what leads to them."""
    text = re.sub(rf"^(?:{_THING}|of|about|that|the|a|an)\s+", "", text.strip(" ,:"), flags=re.IGNORECASE)
    text = re.sub(rf"^{_FOREIGN_THING}\s+(?=\S)", "", text, flags=re.IGNORECASE)
    text = re.sub(rf"\s+(?:in|during|throughout|over|of|for)\s+{_VIDEO}$", "", text, flags=re.IGNORECASE)
    text = re.sub(r"\s+(?:in total|altogether|overall|first|for the first time)$", "", text, flags=re.IGNORECASE)
    text = re.sub(r"^(?:(?:der|die|das|den|le|la|les|el|los|las)\s+|l['’])(?=\S{3})", "", text, flags=re.IGNORECASE)
    return text.strip(" ,:;“”\"'")


def _by(words: str, speaker: str | None) -> str:
    name = (speaker or "").strip()
    has_name = bool(name) and name.lower() not in _NOBODY_NAMED and not re.fullmatch(A_PERSON, name, re.IGNORECASE)
    return f"{words} by {name}".strip() if has_name else words


def _count(match: re.Match[str]) -> TimelineQuestion | None:
    words = _words(match["words"])
    return TimelineQuestion(f"count {_by(words, match.groupdict().get('who'))}") if words else None


def _one(match: re.Match[str]) -> TimelineQuestion | None:
    groups = match.groupdict()
    words = _words(groups.get("words") or "")
    end = "last" if LAST.fullmatch(groups.get("end") or groups.get("end_behind") or "") else "first"
    return TimelineQuestion(f"{end} {_by(words, groups.get('who'))}".strip())


def _who(match: re.Match[str]) -> TimelineQuestion | None:
    found = _one(match)
    return None if found is None else TimelineQuestion(found.query, "speaker")


def _line(match: re.Match[str]) -> TimelineQuestion | None:
    found = _one(match)
    return None if found is None else TimelineQuestion(found.query, "line")


def _fixed(query: str) -> _Make:
    return lambda _: TimelineQuestion(query)


def _pattern(pattern: str, make: _Make) -> tuple[re.Pattern[str], _Make]:
    return re.compile(pattern, re.IGNORECASE), make


_PATTERNS: tuple[tuple[re.Pattern[str], _Make], ...] = (
    # how often
    _pattern(rf"^{_HOW_OFTEN}\s+{_AUX}\s+(?P<words>.+?)\s+(?:been\s+)?{_SAID}(?:\s.*)?$", _count),
    _pattern(rf"^{_HOW_OFTEN}\s+{_AUX}\s+(?P<who>\S.{{0,40}}?)\s+{_SAY}\s+(?P<words>.+)$", _count),
    _pattern(
        r"^(?:count (?:how often|the times that)|what is the number of times(?: that)?)\s+(?P<words>.+?)\s+"
        rf"(?:{_AUX}\s+)?{_SAID}$",
        _count,
    ),
    _pattern(
        r"^wie (?:oft|häufig|viele male)\s+(?:wird|werden|wurde|kommt|kommen)\s+(?:(?:über|von)\s+)?"
        r"(?P<words>.+?)\s+(?:erwähnt|gesagt|genannt"
        r"|gesprochen|geredet|vor)(?:\s.*)?$",
        _count,
    ),
    _pattern(r"^wie (?:oft|häufig)\s+(?:sagt|erwähnt|nennt)\s+(?P<who>\S+)\s+(?P<words>.+)$", _count),
    _pattern(
        r"^combien de fois\s+(?:est-ce qu['’]on\s+|on\s+)?(?:parle(?:-t-on)?\s+(?:de\s+|d['’])|mentionne(?:-t-on)?\s+"
        r"|dit(?:-on)?\s+)"
        r"(?P<words>.+)$",
        _count,
    ),
    _pattern(
        r"^combien de fois\s+(?P<words>.+?)\s+(?:est|sont)(?:-\w+)*\s+(?:mentionné|dit|prononcé|évoqué|cité)\w*"
        r"(?:\s.*)?$",
        _count,
    ),
    _pattern(r"^¿?cu[áa]ntas veces\s+se\s+(?:menciona|dice|nombra|habla de)\w*\s+(?P<words>.+)$", _count),
    _pattern(
        r"^(?P<words>.+?)(?:一共|总共|總共)?(?:被)?(?:提到|提及|说|說)(?:到|了|过|過)*(?:多少次|几次|幾次)$", _count
    ),
    _pattern(
        r"^(?:视频|影片|片)?(?:中|里)?(?:一共|总共)?(?:提到|提及|说|說)(?:到|了|过)?(?P<words>.+?)(?:多少次|几次|幾次)$",
        _count,
    ),
    _pattern(
        r"^(?P<words>.+?)(?:という言葉)?(?:は|が|について)(?:全部で)?(?:何回|何度)(?:も)?(?:言及|言われ|出て|出|述べ|話され|触れ).*$",
        _count,
    ),
    # who first or last
    _pattern(rf"^{_WHO}\s+(?:is|was)?\s*(?:the\s+)?{_END}\s+{_ONE}{_SAY}\s+(?P<words>.+)$", _who),
    _pattern(rf"^{_WHO}\s+{_SAY}\s+(?P<words>.+?)\s+{_END}$", _who),
    _pattern(rf"^{_WHO}\s+(?:is|was)?\s*(?:the\s+)?{_END}\s+{_ONE}(?:speaks?|talks?|says? something)(?:\s.*)?$", _who),
    _pattern(rf"^{_WHO}\s+(?:speaks?|talks?)\s+{_END}$", _who),
    _pattern(r"^wer\s+(?:spricht|redet|sagt etwas)\s+(?:als\s+)?(?P<end>zuerst|erster|zuletzt|letzter)$", _who),
    _pattern(
        r"^wer\s+(?:sagt|erwähnt|nennt|spricht)\s+(?:als\s+)?(?P<end>zuerst|erster|zuletzt|letzter)\s+(?P<words>.+)$",
        _who,
    ),
    # what first or last
    _pattern(
        rf"^{_WHAT_IS}\s+(?:the\s+)?(?:very\s+)?{_END}\s+{_LINE}\s+(?:that\s+)?(?:{_AUX}\s+)?{_SAID}(?:\s.*)?$", _line
    ),
    _pattern(rf"^{_WHAT_IS}\s+(?:the\s+)?{_END}\s+{_LINE}\s+(?:that\s+)?(?P<who>\S.{{0,40}}?)\s+says?$", _line),
    _pattern(rf"^what\s+(?:does|do|did)\s+(?P<who>\S.{{0,40}}?)\s+say\s+{_END}$", _line),
    # when
    _pattern(
        rf"^{_WHEN}\s+{_AUX}\s+(?P<words>.+?)\s+{_END}?\s*{_SAID}(?:\s+(?:first|for the first time))?"
        rf"(?:\s+(?:in|during)\s+{_VIDEO})?$",
        _one,
    ),
    _pattern(
        rf"^{_WHEN}\s+{_AUX}\s+(?P<words>.+?)\s+{_SAID}\s+(?:for\s+the\s+)?{_END}(?:\s+time)?(?:\s+(?:in|during)\s+{_VIDEO})?$",
        _one,
    ),
    _pattern(
        rf"^(?:{_WHEN}|what time)\s+(?:does|do|did)\s+(?P<words>.+?)\s+(?:come up|appear|get mentioned)\s+"
        rf"(?:for the )?{_END}(?: time)?$",
        _one,
    ),
    _pattern(rf"^{_WHEN}\s+(?:does|do|did)\s+(?P<who>\S.{{0,40}}?)\s+{_END}?\s*{_SAY}\s+(?P<words>.+?)$", _one),
    _pattern(
        r"^wann\s+(?:wird|werden|wurde|kommt)\s+(?:(?:über|von)\s+)?(?P<words>.+?)\s+(?:zum\s+)?(?P<end>ersten|letzten|zuerst|zuletzt)(?:\s+mal)?"
        r"\s+(?:erwähnt|gesagt|genannt|gesprochen|vor)(?:\s.*)?$",
        _one,
    ),
    _pattern(
        r"^quand\s+(?:est-ce qu['’]on\s+)?(?:parle(?:-t-on)?\s+(?:de\s+|d['’])|mentionne(?:-t-on)?\s+"
        r"|dit-on\s+)(?P<words>.+?)\s+pour\s+la\s+"
        r"(?P<end>première|dernière)\s+fois$",
        _one,
    ),
    _pattern(
        r"^¿?cu[áa]ndo\s+se\s+(?:menciona|dice|habla de)\w*\s+(?:por\s+(?P<end>primera|última)\s+vez\s+)?"
        r"(?P<words>.+?)(?:\s+por\s+(?P<end_behind>primera|última)\s+vez)?$",
        _one,
    ),
    # all texts, and what it is about
    _pattern(
        rf"^(?:list|name|give|what are|which are|show)\b.{{0,30}}\b(?:all|every|the)\b.{{0,20}}\b{_TEXTS}\b"
        r"(?:.{0,20}\b(?:screen|shown|video|film|seen|visible|appear\w*|episode))?$",
        lambda _: TimelineQuestion("screen_texts", "texts", "every text on screen"),
    ),
    _pattern(
        rf"^(?:what|which)\s+{_TEXTS}\s+(?:are|can be|appear\w*|is)\b.{{0,40}}$",
        lambda _: TimelineQuestion("screen_texts", "texts", "every text on screen"),
    ),
    _pattern(r"^(?:please\s+)?(?:sum(?:mari[sz]e)?(?: up)?|give (?:me )?a summary of)\b.{0,30}$", _fixed("overview")),
    _pattern(rf"^what(?:'s| is| does)\s+{_VIDEO}\s+(?:about|show|deal with|cover)(?: overall)?$", _fixed("overview")),
    _pattern(rf"^what happens? in {_VIDEO}$", _fixed("overview")),
    _pattern(
        r"^(?:worum geht es|fasse\b.{0,30}zusammen|résume\w*\b.{0,30}|de quoi parle\b.{0,30}"
        r"|resume\b.{0,30}|de qué trata\b.{0,30}|(?:概括|总结|總結|要約).{0,20}$|.{0,20}(?:を要約|をまとめ).{0,10}$)",
        _fixed("overview"),
    ),
)

"""Questions about a whole video: first, last, how often, in which order, who most, at a time, between two times, all
signs, how long, what is shown for a moment, and what it is about.

A kind is known by its words in six languages (``question_words``), and what it is asked of by quotation marks, names,
times and lists. A question that says more than its kind needs has none, and goes the way of retrieval, as do all
others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from longvideoagent.agents.offline.question_lists import listed_items, names_in, quoted, without_quotes
from longvideoagent.agents.offline.question_patterns import (
    A_PERSON,
    Asked,
    TimelineQuestion,
    is_before_pattern,
    match_pattern,
)
from longvideoagent.agents.offline.question_times import about_times
from longvideoagent.agents.offline.question_words import (
    ALL,
    AT_A_MOMENT,
    BRIEF,
    BY_TIME,
    COUNT,
    EARLIEST,
    FILLER,
    FIRST,
    LAST,
    LENGTH,
    MORE,
    MOST,
    NTH,
    NTH_OF,
    ORDER,
    PART,
    RANK,
    SAY,
    SCENES,
    SEE,
    SPEAK,
    TEXTS,
    VIDEO,
    WHEN,
    WHO,
    YES_NO,
)

MAX_QUESTION_CHARS = 300
"""Longer questions have no kind: a pattern would find its words by chance."""
WHOLE_VIDEO = "0:00-99:59:59"
"""The span of a look at all of a video."""
_NOT_A_MOMENT = re.compile(
    r"\bbefore (?:anyone|anybody|everyone|everybody|any|all)(?: (?:of )?the)?(?: (?:else|others?|other \w+))?"
    r"(?: does| did)?\b|\bby when\b|\btime is it when\b|\bafter (?:which|what) (?:time|point|minute|moment)\b"
    r"|\bavant (?:tous )?les autres\b|\bantes que (?:nadie|los demás)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?<![\d:])\d{1,6}:[0-5]\d(?!\d)")
_PLURAL_WHO = re.compile(
    r"\b(?:people|persons|speakers|everyone|everybody|characters|all|every|each|names|video|film|movie|episode|personen|sprecher|alle"
    r"|personnes|personas|hablantes)\b|所有|全部|都|全員|すべて|みんな",
    re.IGNORECASE,
)
_IT_LASTS = re.compile(
    r"\b(?:length|duration) of (?:it|this)\Z|\b(?:it|this) (?:is|was|lasts?|runs?|ends?|finishes)\Z"
    r"|\b(?:is|was|does|did|will) (?:it|this)(?:,? (?:last|run|go on|end|finish|over|be|exactly|overall|altogether"
    r"|in total|in all|in minutes|in seconds))*\Z",
    re.IGNORECASE,
)
"""The video as the subject: "How long does it take?" is about something else."""
_SOMEONE = re.compile(
    rf"\b(?:does|did|do|can|will) (?:he|she|{A_PERSON})\b"
    rf"|\b(?:he|she|{A_PERSON}) (?:says?|said|speaks?|spoke|talks?|talked|mentions?|mentioned)\b"
    r"|\b(?:his|her) (?:very )?(?:first|last|final)\b"
    r"|\b(?:sagt|sagte|erwähnt|spricht|redet) (?:er|sie)\b|\b(?:dit|parle)(?:-t)?-(?:il|elle)\b|\bdice (?:él|ella)\b",
    re.IGNORECASE,
)
"""One person who speaks, and whom no name distinguishes from the others."""
_OF_WORDS = re.compile(r"(?:count|first|last|nth \d+) (?!by )")
"""Queries for words that somebody says."""
_SOMEBODY = re.compile(
    r"\b(?:he|she|they|we|people|persons?|characters?|speakers?|voices?|(?:some|any|every)(?:one|body)|jemand|man)\b",
    re.IGNORECASE,
)
_LONG = re.compile(r"\blong\b", re.IGNORECASE)
_WHAT = re.compile(r"(?:what|was|wie|welche[rs]?|quel(?:le)?|cuál|qué)\b", re.IGNORECASE)
_WHICH = re.compile(r"(?:which|welche|quel(?:le)?s|qué|cuáles)\b", re.IGNORECASE)
"""Of several things."""
_WHAT_SAYS = re.compile(r"\b(?:what|was|que|qué)\b.{0,30}\b(?:say|sagt|dit|dice)\b", re.IGNORECASE)
_HOW_MANY = re.compile(
    r"(?:how many|wie viele|combien|cuánt[oa]s)\b|.{0,10}(?:多少|[几幾])个?人|.{0,10}何人", re.IGNORECASE
)
_LINES = re.compile(r"\b(?:lines|sentences|zeilen|sätze|répliques|phrases|frases|líneas)\b", re.IGNORECASE)
_PLACES = re.compile(
    r"\b(?:top|bottom|middle|left|right|read|readable|appear\w*|seen|visible|occur\w*|oben|unten)\b", re.IGNORECASE
)
_TITLE = re.compile(r"\b(?:title|titel|titre|título)\b", re.IGNORECASE)
"""One text of a video, and not all of them."""
_FINISHES = re.compile(r"\b(?:ends?|endet|finit|termina|acaba|over)\b|结束|終わ", re.IGNORECASE)
_DENIES = re.compile(r"\b(?:not|\w+n['’]t|nicht|kein\w*|pas)\b|没有?(?:提|说)|ない", re.IGNORECASE)
_IDEOGRAPHS = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_WORD = re.compile(r"\w+")


_NTH = [
    (number, re.compile(rf"(?<!\d )(?<!\w)(?:{words})(?P<end>[nrsm]?)\s+(?={NTH_OF.pattern})", re.IGNORECASE), first)
    for number, words, first in NTH
]


@lru_cache(maxsize=256)
def timeline_question(text: str) -> TimelineQuestion | None:
    """The query or look that a question asks for, or None if it has no kind that is about the whole video."""
    question = " ".join(text.split()).strip("¿¡ ").rstrip("?!.。？！ ")
    if len(question) > MAX_QUESTION_CHARS:
        return None
    found = _read(question)
    if found is None or found.query.startswith("order ") or not _SOMEONE.search(without_quotes(question)):
        return found
    # Which lines are this person's is not known, but what is said at all can be searched for.
    return replace(found, is_of_someone=True) if _OF_WORDS.match(found.query) else None


def _read(question: str) -> TimelineQuestion | None:
    timed = about_times(question)
    if timed is not None or _CLOCK.search(without_quotes(question)):
        return timed
    plain = without_quotes(question)
    if PART.search(plain) or RANK.search(plain) or _DENIES.search(plain):
        return None
    special = _nth(question) or is_before_pattern(question)
    if special is not None:
        return special
    question = _NOT_A_MOMENT.sub(_without_moment, question)
    plain = without_quotes(question)
    if AT_A_MOMENT.search(plain.strip()):
        return None
    targets = quoted(question)
    if targets:
        return _about_quoted(targets[0], plain)
    for read in (_brief, _order, _more, _most, _speakers, _length, _end_of_name, _end_of_anybody, _signs, _how_many):
        if (found := read(question)) is not None:
            return found
    return match_pattern(question)


def _nth(question: str) -> TimelineQuestion | None:
    """A question for the second, third, … line: it is read as one for the first line is."""
    for number, pattern, first in _NTH:
        match = pattern.search(question)
        if match is None:
            continue
        found = timeline_question(f"{question[: match.start()]}{first}{match['end']} {question[match.end() :]}")
        name, _, rest = found.query.partition(" ") if found is not None else ("", "", "")
        return replace(found, query=f"nth {number} {rest}".strip()) if found is not None and name == "first" else None
    return None


def _without_moment(match: re.Match[str]) -> str:
    """What a phrase of ``_NOT_A_MOMENT`` says, in words that no moment is named by."""
    phrase = match[0].lower()
    return " first " if "before" in phrase or "avant" in phrase or "antes" in phrase else " by time "


def _residue(question: str, *cues: re.Pattern[str]) -> list[str]:
    """The words of a question that neither its kind nor the grammar needs. Scripts without spaces have none."""
    for cue in (*cues, VIDEO, FILLER):
        question = cue.sub(" ", question)
    return [] if _IDEOGRAPHS.search(question) else _WORD.findall(question)


# --- of quoted words -------------------------------------------------------------------------------


def _about_quoted(target: str, question: str) -> TimelineQuestion | None:
    """How often, when or by whom quoted words are said."""
    is_first, is_last = FIRST.search(question) is not None, LAST.search(question) is not None
    who, when, count = (each.search(question) is not None for each in (WHO, WHEN, COUNT))
    name = "".join(f" by {name}" for name in names_in(question)[:1])
    if count and not (is_first and is_last is False and who):
        return TimelineQuestion(f"count “{target}”{name}")
    end = "last" if is_last and not (is_first and "first" in question.lower()) else "first"
    if is_first or is_last:
        asked: Asked = "speaker" if who else "value"
        return TimelineQuestion(f"{end} “{target}”{name if not who else ''}", asked)
    if when and SAY.search(question):
        return TimelineQuestion(f"first “{target}”{name}")
    return None


# --- of the whole video ----------------------------------------------------------------------------


def _brief(question: str) -> TimelineQuestion | None:
    """What text is shown for a moment only, at a place that retrieval finds."""
    asks_for_text = TEXTS.search(question) or re.search(
        r"\b(?:words?|letters?|wort|wörter|mots?|palabras?)\b|[词詞字]|単語", question, re.IGNORECASE
    )
    if not BRIEF.search(question) or not asks_for_text:
        return None
    return TimelineQuestion(asked="brief", look="a text that flashes up briefly")


def _order(question: str) -> TimelineQuestion | None:
    """In which order several things are mentioned, or which of them is first."""
    items = listed_items(question)
    if len(items) < 2:
        return None
    if SPEAK.search(question):
        items = [_speaker_or_thing(item) for item in items]
    query = f"order {' ; '.join(items)}"
    if ORDER.search(question):
        return TimelineQuestion(query)
    asks_which = re.match(
        r"(?:\w+ )?(?:which|what|out of|of|among|was|welche[sr]?|lequel|laquelle|cuál|qué)\b", question, re.IGNORECASE
    )
    has_choice = re.search(r"\b(?:or|oder|ou|o)\b|还是|または", question, re.IGNORECASE) or ":" in question
    if EARLIEST.search(question) and (asks_which or _IDEOGRAPHS.search(question)) and has_choice:
        return TimelineQuestion(query, "earliest")
    return None


def _speaker_or_thing(item: str) -> str:
    """A listed name as the lines of that person; anything else as it is."""
    name = SPEAK.sub("", item).strip()
    return f"by {name}" if names_in(f"of {name}") == [name] else item


def _more(question: str) -> TimelineQuestion | None:
    """Which of two people has more lines or speaks longer, or whether the first of them does."""
    names = names_in(question)
    if len(names) != 2 or not MORE.search(question) or not SAY.search(question):
        return None
    rest = question
    for name in names:
        rest = re.sub(rf"\b{re.escape(name)}(?:['’]s)?", " ", rest)
    if _residue(rest, MORE, MOST, BY_TIME, WHO, SAY, COUNT):
        return None
    query = f"{'talk_time' if BY_TIME.search(question) else 'speakers'} {' ; '.join(names)}"
    return TimelineQuestion(query, "is_more" if YES_NO.match(question) else "value")


def _most(question: str) -> TimelineQuestion | None:
    """Who has most lines, or speaks longest."""
    if not MOST.search(question) or not WHO.search(question):
        return None
    extra = re.compile(
        r"\b(?:who\w*|which|has|to say|doe?s|largest|count|comes? out|top|lots?|than|anybody|anyone|else)\b",
        re.IGNORECASE,
    )
    if not SAY.search(question) and not re.search(r"\bto say\b", question, re.IGNORECASE):
        return None
    if _residue(question, MOST, BY_TIME, WHO, SAY, COUNT, extra):
        return None
    return TimelineQuestion("talk_time" if BY_TIME.search(question) else "speakers")


def _speakers(question: str) -> TimelineQuestion | None:
    """Who speaks at all."""
    asks_for_people = WHO.search(question) or re.search(
        r"\b(?:speakers|people|persons|characters|sprecher|personen|personnes|personas|hablantes)\b|人物|話者",
        question,
        re.IGNORECASE,
    )
    says = SAY.search(question) or re.search(
        r"\bspeakers?\b|sprecher|locuteurs?|hablantes?|話者", question, re.IGNORECASE
    )
    if not asks_for_people or not says or not _PLURAL_WHO.search(question):
        return None
    if any(each.search(question) for each in (FIRST, LAST, MOST, COUNT, TEXTS)):
        return None
    if names_in(question) or _residue(question, WHO, SAY, ALL, _PLURAL_WHO):
        return None
    return TimelineQuestion("speaker_names", "names")


def _length(question: str) -> TimelineQuestion | None:
    """How long the video is, or how long a person speaks."""
    names = names_in(question)
    is_length = LENGTH.search(question) is not None
    if len(names) == 1 and SAY.search(question) and (is_length or BY_TIME.search(question)):
        rest = _without_name(question, names)
        is_plain = not _residue(rest, LENGTH, BY_TIME, SAY, COUNT, ALL)
        return TimelineQuestion(f"talk_time {names[0]}") if is_plain else None
    finishes = WHEN.match(question) and _FINISHES.search(question)
    if names or not (is_length or finishes) or not (VIDEO.search(question) or _IT_LASTS.search(question)):
        return None
    if _SOMEBODY.search(question):  # "talk" and "show" are what people do, too
        return None
    has_more = _residue(question, LENGTH, WHEN, _FINISHES, BY_TIME, _LONG)
    return None if has_more else TimelineQuestion("length")


def _without_name(question: str, names: Sequence[str]) -> str:
    return re.sub(rf"\b{re.escape(names[0])}(?:['’]s)?", " ", question) if names else question


def _end_of_name(question: str) -> TimelineQuestion | None:
    """What a person says first or last, or when; or the first or last line of the video."""
    names = names_in(question)
    is_first, is_last = FIRST.search(question), LAST.search(question)
    is_whole = not names and VIDEO.search(question) is not None and _WHAT.match(question) is not None
    if not (len(names) == 1 or is_whole) or bool(is_first) == bool(is_last):
        return None
    rest = _without_name(question, names)
    if not SAY.search(rest) or _residue(rest, FIRST, LAST, SAY, WHEN, ALL):
        return None
    query = f"{'first' if is_first else 'last'}{f' by {names[0]}' if names else ''}"
    asks_when = WHEN.match(question) and not _WHAT_SAYS.search(question)
    return TimelineQuestion(query) if asks_when else TimelineQuestion(query, "line")


def _end_of_anybody(question: str) -> TimelineQuestion | None:
    """Who speaks first or last, or what is said first or last, without a name."""
    is_first, is_last = FIRST.search(question), LAST.search(question)
    if names_in(question) or bool(is_first) == bool(is_last) or not SAY.search(question):
        return None
    asks_who = WHO.search(question) is not None
    if not (asks_who or _WHAT.match(question)) or _residue(question, FIRST, LAST, SAY, WHO, _WHAT):
        return None
    return TimelineQuestion("first" if is_first else "last", "speaker" if asks_who else "line")


def _signs(question: str) -> TimelineQuestion | None:
    """All texts or signs."""
    if not TEXTS.search(question) or not (ALL.search(question) or VIDEO.search(question) or _WHICH.match(question)):
        return None
    if _TITLE.search(question) and not ALL.search(question):
        return None
    needed = (TEXTS, ALL, SEE, SAY, FIRST, LAST, WHO, _PLACES, _WHICH)
    if _residue(question, *needed):
        return None
    return TimelineQuestion("screen_texts", "texts", f"{WHOLE_VIDEO}: what does each sign or text say?")


def _how_many(question: str) -> TimelineQuestion | None:
    """How many people speak, how many lines one of them has, how often one speaks, or how many scenes there are."""
    if _HOW_MANY.match(question) and SCENES.search(question):
        return None if _residue(question, SCENES, COUNT) else TimelineQuestion("scenes")
    names, has_lines = names_in(question), _LINES.search(question) is not None
    asks_number = _HOW_MANY.match(question) is not None
    asks_turns = COUNT.match(question) is not None and SPEAK.search(question) is not None
    if len(names) == 1 and ((asks_number and has_lines) or asks_turns):
        has_more = _residue(_without_name(question, names), SAY, COUNT)
        return None if has_more else TimelineQuestion(f"talk_time {names[0]}", "num_lines")
    asks_people = _PLURAL_WHO.search(question) or _IDEOGRAPHS.search(question)
    if names or has_lines or not (asks_number and asks_people and SAY.search(question)):
        return None
    has_more = _residue(question, _PLURAL_WHO, SAY, COUNT)
    return None if has_more else TimelineQuestion("speaker_names", "num_names")

"""Short answers to open questions about one moment: the text, colour or line that has the place of the right option.

A text on a person is in the column below that person's name; a sign belongs to nobody. A question about a moment ("when
Otto says X") is answered by what is seen at it, before it or after it. A line answers what the main part of a
question asks, not the words that only name its place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.screen_texts import ShownText, shown_texts, signs
from longvideoagent.agents.offline.vision_wording import DetectionKind, kind_of, num_faces
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Evidence
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms
from longvideoagent.media.text_columns import fold_recognized, squeeze

SURE_CONFIDENCE = 0.6
UNSURE_CONFIDENCE = 0.4
SOME_TEXT_CONFIDENCE, WEAKEST_CONFIDENCE = 0.2, 0.1
"""Of texts that may be on what the question names; of main colours, which may be those of other things, and faces."""
MAX_TEXTS = 5
MIN_LIKENESS = 0.6
"""Of two readings of one text."""
MIN_ANCHOR_FRACTION = 0.6
"""The fraction of the asked moment's words that a line must have to be it."""
_SIGN_TERMS = frozenset(terms("sign slide screen title poster board banner caption credits"))
_TITLE_TERMS = frozenset(terms("title credits"))
_TEXT_TERMS = frozenset(terms("word text written number letters name reads"))
_COLOUR_TERMS = frozenset(terms("colour color"))
_CARRIER_TERMS = frozenset(terms("plate label badge board logo flag button")) | _SIGN_TERMS
"""Things that carry text, so that what is behind a text is their colour."""
_NUMBER = re.compile(r"\b(?:number|digits?|year|date|price|score|temperature|speed)\b|\bhow much\b", re.IGNORECASE)
_TEXT = re.compile(
    r"\b(?:words?|letters?|texts?|titles?|signs?|captions?|written|reads?|labels?|logos?|brands?)\b", re.IGNORECASE
)
ASKS_WHEN = re.compile(r"\W*(?:when|at what time|wann|quand|cu[áa]ndo)\b", re.IGNORECASE)
_HOW_MANY_PEOPLE = re.compile(
    r"\bhow many (?:\w+ )?(?:people|persons?|men|women|children|faces|characters)\b", re.IGNORECASE
)
_DIGIT = re.compile(r"\d")
_BODY_TERMS = frozenset(terms("shirt jersey sweater jacket top dress clothes hat wearing wears"))
_VERBS_TEXT = """
    bring brought, buy bought, think thought, catch caught, teach taught, find found, lose lost, break broke broken,
    take took taken, give gave given, go went gone, come came, see saw seen, eat ate eaten, drink drank drunk, drive
    drove driven, write wrote written, speak spoke spoken, steal stole stolen, choose chose chosen, forget forgot
    forgotten, leave left, meet met, keep kept, sleep slept, feel felt, sell sold, make made, send sent, spend spent,
    build built, pay paid, hold held, stand stood, sit sat, run ran, win won, wear wore worn, throw threw thrown, know
    knew known, grow grew grown
"""
_VERBS = tuple(frozenset(terms(forms)) for forms in _VERBS_TEXT.split(","))


class OpenAnswer(NamedTuple):
    """An answer with its confidence and evidence."""

    text: str
    confidence: float
    evidence: tuple[Evidence, ...]


def open_answer(scorer: EvidenceScorer) -> OpenAnswer | None:
    """The short answer to the scorer's question, or None if its facts have none."""
    question_terms = set(terms(scorer.parsed.main))
    names = _names(scorer.facts)
    shown = shown_texts(scorer.facts, names)
    if question_terms & _COLOUR_TERMS:
        return _colour(scorer, shown, names) if question_terms & _BODY_TERMS else None
    if question_terms & _SIGN_TERMS:
        return _sign(scorer, shown)
    if question_terms & _TEXT_TERMS and scorer.parsed.is_visual:
        return _text_of_person(scorer, shown, names)
    return None if scorer.parsed.is_visual else _line(scorer)


def seen_answer(scorer: EvidenceScorer) -> OpenAnswer | None:
    """What is seen, for a question that no fact shares a word with, since detections do not know what things are: texts
    for one that asks for a text, texts with digits for a number, the main colours for a colour, faces for a number of
    people. None for others, and if nothing of that kind is seen."""
    question = scorer.parsed.main
    texts = signs(shown_texts(scorer.facts, _names(scorer.facts)))
    if set(terms(question)) & _COLOUR_TERMS:
        return _some_colour(scorer, texts)
    if _HOW_MANY_PEOPLE.search(question):
        return _some_people(scorer.facts)
    if _NUMBER.search(question):
        return _some_texts([each for each in texts if _DIGIT.search(each.text)])
    return _some_texts(texts) if _TEXT.search(question) else None


def _some_texts(texts: Sequence[ShownText]) -> OpenAnswer | None:
    """The texts that are seen for longest, as one answer."""
    distinct = _without_misreadings(texts)
    lasting = sorted(distinct, key=lambda each: each.fact.start_s - each.fact.end_s)[:MAX_TEXTS]
    if not lasting:
        return None
    ordered = sorted(lasting, key=lambda each: each.fact.start_s)
    confidence = UNSURE_CONFIDENCE if len(ordered) == 1 else SOME_TEXT_CONFIDENCE
    evidence = tuple(dict.fromkeys(each.fact for each in ordered))
    return OpenAnswer(", ".join(each.text for each in ordered), confidence, evidence)


def _without_misreadings(texts: Sequence[ShownText]) -> list[ShownText]:
    """Of each text that was read in several ways, the reading that is most like the others."""
    groups: list[list[ShownText]] = []
    for each in texts:
        near = next((group for group in groups if any(_likeness(each, other) >= MIN_LIKENESS for other in group)), None)
        if near is None:
            groups.append([each])
        else:
            near.append(each)
    return [max(group, key=lambda each: sum(_likeness(each, other) for other in group)) for group in groups]


def _likeness(one: ShownText, other: ShownText) -> float:
    """The fraction of letters that two texts have in common, in order; look-alikes differ, to find the best reading."""
    return SequenceMatcher(None, squeeze(one.text), squeeze(other.text), autojunk=False).ratio()


def _some_people(facts: Sequence[Evidence]) -> OpenAnswer | None:
    """At least as many people as faces are seen at once."""
    counts = [(count, fact) for fact in facts if fact.kind == "frame" and (count := num_faces(fact.text))]
    if not counts:
        return None
    number, fact = max(counts, key=lambda pair: pair[0])
    return OpenAnswer(f"at least {number}, by the faces", WEAKEST_CONFIDENCE, (fact,))


def _some_colour(scorer: EvidenceScorer, texts: Sequence[ShownText]) -> OpenAnswer | None:
    """What is behind the texts, of a thing that carries text; else the main colours."""
    behind = {each.colour: each.fact for each in reversed(texts) if each.colour}
    if len(behind) == 1 and set(terms(scorer.parsed.main)) & _CARRIER_TERMS:
        ((colour, fact),) = behind.items()
        return OpenAnswer(colour, UNSURE_CONFIDENCE, (fact,))
    frames = (fact for fact in scorer.facts if fact.kind == "frame")
    main = next((fact for fact in frames if kind_of(fact.text) is DetectionKind.COLOURS), None)
    return None if main is None else OpenAnswer(main.text, WEAKEST_CONFIDENCE, (main,))


def _names(facts: Sequence[Evidence]) -> set[str]:
    return {name for fact in facts if fact.kind == "subtitle" and (name := split_speaker(fact.text).speaker)}


def _person(scorer: EvidenceScorer, names: Collection[str]) -> str:
    """The person that the main part names, or who says what it names; empty if there is none."""
    words = {fold_recognized(re.sub(r"['’]s$", "", word)) for word in scorer.parsed.main.split()}
    named = [name for name in names if fold_recognized(name) in words]
    if named:
        return named[0]
    anchor = scorer.anchor
    is_speaker = re.search(r"\bwho\b", scorer.question.text, re.IGNORECASE) is not None
    return split_speaker(anchor.fact.text).speaker if anchor and is_speaker else ""


def _of_person(scorer: EvidenceScorer, shown: Sequence[ShownText], names: Collection[str]) -> ShownText | None:
    """The text that a person wears, nearest to the asked moment."""
    person = _person(scorer, names)
    own = [each for each in shown if person and each.owner == person]
    moment_s = scorer.anchor.fact.start_s if scorer.anchor and scorer.parsed.relation == "when" else None
    if moment_s is None:
        return own[0] if own else None
    return min(own, key=lambda each: _distance_s(each.fact, moment_s), default=None)


def _distance_s(fact: Evidence, time_s: float) -> float:
    return max(fact.start_s - time_s, time_s - fact.end_s, 0.0)


def _text_of_person(scorer: EvidenceScorer, shown: Sequence[ShownText], names: Collection[str]) -> OpenAnswer | None:
    text = _of_person(scorer, shown, names)
    return None if text is None else _answer(scorer, text.text, text.fact)


def _colour(scorer: EvidenceScorer, shown: Sequence[ShownText], names: Collection[str]) -> OpenAnswer | None:
    text = _of_person(scorer, shown, names)
    return None if text is None else _answer(scorer, text.colour, text.fact)


def _sign(scorer: EvidenceScorer, shown: Sequence[ShownText]) -> OpenAnswer | None:
    """The sign at the asked moment, the last one before it, or the first one that comes after it."""
    owned = {fold_recognized(each.text) for each in shown if each.owner}
    every = [each for each in shown if not each.owner and fold_recognized(each.text) not in owned]
    if not every or scorer.anchor is None or scorer.parsed.relation not in ("when", "after", "before"):
        only = signs(every, "top")
        found = _answer(scorer, only[0].text, only[0].fact) if len(only) == 1 else None
        if found is not None and _TITLE_TERMS & set(terms(scorer.parsed.main)):
            return found._replace(confidence=UNSURE_CONFIDENCE)  # a text alone on the screen need not be the title
        return found
    place = "top" if any("top" in each.place for each in every) else ""
    spans: dict[str, list[float]] = {}
    first: dict[str, ShownText] = {}
    for each in every:
        if place in each.place and len(fold_recognized(each.text)) > 1:
            key = fold_recognized(each.text)
            first.setdefault(key, each)
            start_s, end_s = spans.setdefault(key, [each.fact.start_s, each.fact.end_s])
            spans[key] = [min(start_s, each.fact.start_s), max(end_s, each.fact.end_s)]
    moment = scorer.anchor.fact
    if scorer.parsed.relation == "after":
        later = [key for key in spans if spans[key][0] > moment.start_s]
        chosen = min(later, key=lambda key: spans[key][0], default=None)
    elif scorer.parsed.relation == "before":
        earlier = [key for key in spans if spans[key][0] < moment.start_s]
        chosen = max(earlier, key=lambda key: spans[key][1], default=None)
    else:
        chosen = min(spans, key=lambda key: _outside_s(spans[key], moment.start_s), default=None)
    return None if chosen is None else _answer(scorer, first[chosen].text, first[chosen].fact)


def _outside_s(span: Sequence[float], time_s: float) -> float:
    return max(span[0] - time_s, time_s - span[1], 0.0)


def _line(scorer: EvidenceScorer) -> OpenAnswer | None:
    """The line that has most words of the main part of a question that names a place."""
    if scorer.parsed.relation != "during":
        return None
    wanted = _with_forms(set(scorer.terms(scorer.parsed.main)) - set(scorer.terms(scorer.parsed.clause)))
    spoken = [fact for fact in scorer.facts if fact.kind == "subtitle"]
    matches = {fact: len(wanted & set(scorer.terms(fact.text))) for fact in spoken}
    best = max(matches.values(), default=0)
    chosen = [fact for fact in spoken if matches[fact] == best]
    known = {term for fact in spoken for term in scorer.terms(fact.text)}
    if not best or len(chosen) != 1 or not known.intersection(scorer.terms(scorer.parsed.clause)):
        return None
    line = split_speaker(chosen[0].text)
    quoted = f"“{chosen[0].text}” ({format_timestamp(chosen[0].start_s)})"
    asks_who = re.match(r"\W*who\b", scorer.parsed.main, re.IGNORECASE) is not None
    text = f"{line.speaker}: {quoted}" if asks_who and line.speaker else quoted
    return OpenAnswer(text, UNSURE_CONFIDENCE, (chosen[0],))


def _with_forms(wanted: set[str]) -> set[str]:
    """Terms with the other forms of irregular verbs."""
    return wanted.union(*(forms for forms in _VERBS if forms & wanted))


def _answer(scorer: EvidenceScorer, text: str, fact: Evidence) -> OpenAnswer:
    needs_anchor = scorer.parsed.relation in ("when", "after", "before")
    is_sure = not needs_anchor or (scorer.anchor is not None and scorer.anchor.fraction >= MIN_ANCHOR_FRACTION)
    evidence = (fact, scorer.anchor.fact) if needs_anchor and scorer.anchor else (fact,)
    confidence = SURE_CONFIDENCE if is_sure else UNSURE_CONFIDENCE
    if ASKS_WHEN.match(scorer.question.text):
        text = f"at {format_timestamp(fact.start_s)}: “{text}”"
    return OpenAnswer(text, confidence, tuple(sorted(dict.fromkeys(evidence), key=lambda each: each.start_s)))

"""Scores how well the known facts support each option, or each sentence, of an answer.

A question has a main part and often refers to a moment ("…when Otto says X"). The scorer first locates the moment: the
fact that shares the most rare terms with it is the anchor. A fact then supports an option by the rare terms that they
share. The support is higher if the fact also shares terms with the question and has the relation that the question
names (when, before, after) to the anchor. The position of an option has no influence. Its length has no direct
influence, but terms that no fact contains lower its support: of two options that share the same terms with a fact, the
one with fewer terms is preferred.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from longvideoagent.agents.offline.likelihood import are_neighbours, distinctive_terms, option_likelihoods
from longvideoagent.core.types import Evidence, Question
from longvideoagent.index.terms import terms

_MOMENT = re.compile(
    r"\b(?P<relation>when|while|as soon as|once|until|after|before"
    r"|who (?:says?|said|t(?:ell|ells|old)|asks?|asked|mentions?))"
    r"\b\s+(?P<clause>[^,?]{3,})",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"^\s*(?:at|in|on|inside|during)\b\s+(?P<clause>[^,?]{2,60}),\s*(?P<main>.{3,})", re.IGNORECASE | re.DOTALL
)
_SPEAKER = re.compile(r"^([^\s:][^:]{0,30}?)\s*:\s")
VISUAL_TERMS = frozenset(
    terms(
        """shirt colour color sign slide screen title credits written wearing wears poster board picture shown visible
        moves moving prop holding hat jacket dress background face faces logo caption banner"""
    )
)
GENERIC_TERMS = frozenset(terms("happen happening video clip scene film movie show shown see describe going start end"))
PERSON_TERMS = frozenset(terms("person someone speaker man woman figure guy girl boy"))

MIN_FUZZY_LETTERS = 4
MIN_ONE_EDIT_LETTERS = 5
"""Letters a term needs to be matched with tolerance in text recognized in a frame."""
FUZZY_SCORE = 0.7
"""The score of a match with tolerance."""
_QUOTED = re.compile(r"“([^”]*)”")
_LETTERS = re.compile(r"\w+")
_LOOK_ALIKES = str.maketrans("l1!0", "iiio")

SPOKEN_DISCOUNT = 0.5
"""The factor for a spoken line if the question asks for something visible."""
LIKELIHOOD_WEIGHT = 0.5
"""Weight of an option's likelihood given all lines, added to the support by its best fact."""
QUESTION_WEIGHT = 0.65
"""The fraction of a fact's support that depends on its match with the question."""
NEARNESS_DECAY_S = 15.0
"""The time in which nearness to the anchor falls to 1/e."""


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """The main part of a question, and the moment that it refers to."""

    main: str
    relation: str
    """"when", "before", "after", "during" (a setting: "At the bakery, …"), or empty."""
    clause: str
    is_visual: bool


@dataclass(frozen=True, slots=True)
class Support:
    """How well one option is supported, and by which fact."""

    value: float
    fact: Evidence | None


class Anchor(NamedTuple):
    """The fact that locates the asked moment."""

    fact: Evidence
    fraction: float
    """The weighted fraction of the clause's terms that the fact holds."""


def parse_question(text: str) -> ParsedQuestion:
    """Split a question into its main part and the moment that it refers to."""
    match = _MOMENT.search(text)
    is_visual = bool(VISUAL_TERMS & set(terms(text)))
    if match is None:
        setting = _SETTING.match(text)
        if setting is None:
            return ParsedQuestion(text, "", "", is_visual)
        return ParsedQuestion(setting["main"], "during", setting["clause"], is_visual)
    main = " ".join((text[: match.start()] + text[match.end() :]).split()).replace(" ?", "?")
    relation = match["relation"].lower()
    if not set(terms(main)) - PERSON_TERMS and relation not in ("after", "before"):
        return ParsedQuestion(text, "", "", is_visual)
    return ParsedQuestion(main, relation if relation in ("after", "before") else "when", match["clause"], is_visual)


@dataclass(frozen=True, slots=True)
class FactTerms:
    """The terms of a fact. Character recognition confuses similar letters and drops spaces and thin letters, so text
    recognized in a frame is matched with some tolerance."""

    exact: frozenset[str]
    squeezed: str
    """The text recognized in a frame, in pieces separated by ``|``, without spaces and with look-alike letters unified;
    empty for other facts."""

    @classmethod
    def from_fact(cls, fact: Evidence) -> FactTerms:
        """The terms of a fact."""
        if fact.kind != "frame":
            return cls(frozenset(terms(fact.text)), "")
        pieces = _QUOTED.findall(fact.text) or [fact.text]
        squeezed = "|".join(_fold("".join(_LETTERS.findall(piece))) for piece in pieces)
        return cls(frozenset(terms(fact.text)), squeezed)

    def match_score(self, term: str) -> float:
        """1 if the fact contains the term; ``FUZZY_SCORE`` if it contains the term inside a longer piece of text, or
        with one wrong letter; else 0. The last letter of a stem may differ."""
        if term in self.exact:
            return 1.0
        if not self.squeezed or len(term) < MIN_FUZZY_LETTERS:
            return 0.0
        folded = _fold(term)
        is_inside = folded[: max(MIN_FUZZY_LETTERS, len(folded) - 1)] in self.squeezed
        return FUZZY_SCORE if is_inside or any(_is_one_edit(_fold(word), folded) for word in self.exact) else 0.0


def _is_one_edit(one: str, other: str) -> bool:
    """Whether two terms of at least ``MIN_ONE_EDIT_LETTERS`` letters differ by one letter changed, added or lost."""
    short, long = sorted((one, other), key=len)
    if len(short) < MIN_ONE_EDIT_LETTERS - 1 or len(long) < MIN_ONE_EDIT_LETTERS or len(long) - len(short) > 1:
        return False
    same = next((i for i, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    if len(short) == len(long):
        return short[same + 1 :] == long[same + 1 :]
    return short[same:] == long[same + 1 :]


def _fold(text: str) -> str:
    return text.casefold().translate(_LOOK_ALIKES)


class EvidenceScorer:
    """Scores facts (lines and detections, in order of time) for one question. Weights are summed with
    ``math.fsum``, because the order of a set of terms differs between processes."""

    def __init__(self, question: Question, facts: Sequence[Evidence], is_excerpt: bool = True) -> None:
        self.question = question
        self.is_excerpt = is_excerpt
        self.facts = sorted(facts, key=lambda fact: (fact.start_s, fact.end_s))
        self.parsed = parse_question(question.text)
        self._fact_terms = [FactTerms.from_fact(fact) for fact in self.facts]
        self._frequency: dict[str, int] = {}

    def frequency(self, term: str) -> int:
        """The number of facts that contain a term."""
        if term not in self._frequency:
            self._frequency[term] = sum(fact_terms.match_score(term) > 0 for fact_terms in self._fact_terms)
        return self._frequency[term]

    def rarity(self, term: str) -> float:
        """The weight of a term: high if few facts contain it."""
        return math.log(1 + len(self.facts) / (1 + self.frequency(term)))

    @cached_property
    def anchor(self) -> Anchor | None:
        """The fact that best matches the asked moment. Subtitle lines are preferred, since questions describe moments
        by what is said."""
        wanted = set(terms(self.parsed.clause or self.question.text))
        total = math.fsum(self.rarity(term) for term in wanted)
        best: Anchor | None = None
        for fact, fact_terms in zip(self.facts, self._fact_terms, strict=True):
            fraction = (
                math.fsum(self.rarity(term) * fact_terms.match_score(term) for term in wanted) / total if total else 0.0
            )
            fraction *= 1.0 if fact.kind == "subtitle" else 0.8
            if fraction > 0 and (best is None or fraction > best.fraction):
                best = Anchor(fact, fraction)
        return best

    @cached_property
    def main_terms(self) -> frozenset[str]:
        """The terms of the main part. If it asks for a person at a moment, the anchor's speaker is added."""
        wanted = set(terms(self.parsed.main))
        if self.anchor is not None and self.parsed.relation and wanted & PERSON_TERMS:
            speaker = _SPEAKER.match(self.anchor.fact.text)
            wanted |= set(terms(speaker[1])) if speaker else set()
        return frozenset(wanted)

    @cached_property
    def relevance(self) -> list[float]:
        """The relevance of each fact, 0 to 1: the fraction of the question's known terms that it contains, times its
        nearness to the anchor. The match of a neighbouring line counts half."""
        known = {term: self.rarity(term) for term in self.main_terms if self.frequency(term)}
        total = math.fsum(known.values()) or 1.0
        own = [
            math.fsum(rarity * fact_terms.match_score(term) for term, rarity in known.items()) / total
            for fact_terms in self._fact_terms
        ]
        neighbours = _neighbour_matches(self.facts, own)
        return [
            self._discount(fact) * self.nearness(fact) * (1 - QUESTION_WEIGHT + QUESTION_WEIGHT * max(match, near / 2))
            for fact, match, near in zip(self.facts, own, neighbours, strict=True)
        ]

    @cached_property
    def matches(self) -> list[bool]:
        """For each fact, whether it shares any term with the question."""
        question_terms = set(terms(self.question.text))
        return [any(fact_terms.match_score(term) for term in question_terms) for fact_terms in self._fact_terms]

    def _discount(self, fact: Evidence) -> float:
        return SPOKEN_DISCOUNT if self.parsed.is_visual and fact.kind == "subtitle" else 1.0

    def nearness(self, fact: Evidence) -> float:
        """1 for a fact that has the relation of the question to the anchor and is close to it; lower for others."""
        if self.anchor is None:
            return 1.0
        moment = self.anchor.fact
        gap_s = max(fact.start_s - moment.end_s, moment.start_s - fact.end_s, 0.0)
        near = math.exp(-gap_s / NEARNESS_DECAY_S)
        if self.parsed.relation in ("", "during"):
            return 0.5 + 0.5 * near
        if self.parsed.relation == "when":
            return 1.0 if gap_s == 0 else 0.2 + 0.6 * near
        if fact is moment:
            return 0.1
        is_later = fact.start_s > moment.start_s
        return 0.1 + 0.9 * near if is_later == (self.parsed.relation == "after") else 0.15

    def coverage(self, facts: Sequence[Evidence]) -> float:
        """The fraction of the question's terms, 0 to 1, that at least one of these facts contains."""
        question_terms = set(terms(self.question.text))
        if not question_terms:
            return 0.0
        chosen = [self._fact_terms[self.facts.index(fact)] for fact in facts]
        held = sum(any(fact_terms.match_score(term) for fact_terms in chosen) for term in question_terms)
        return held / len(question_terms)

    def richness(self, fact: Evidence) -> float:
        """The information in a fact, independent of the question: the summed rarity of its terms."""
        return math.fsum(self.rarity(term) for term in set(terms(fact.text)))

    def supports(self) -> list[Support]:
        """The support for each option, in order: that of the best single fact, plus a gain if all spoken lines together
        make the option more likely than chance. There is no gain for a question about something visible, nor for one
        about a setting, which is named only once."""
        spoken = [fact for fact in self.facts if fact.kind == "subtitle"]
        single = [self._best_fact(wanted) for wanted in distinctive_terms(self.question)]
        if self.parsed.is_visual or self.parsed.relation == "during" or not spoken:
            return single
        likelihoods = option_likelihoods(self.question, spoken, self.is_excerpt)
        gains = [LIKELIHOOD_WEIGHT * max(0.0, likelihood - 1 / len(likelihoods)) for likelihood in likelihoods]
        return [
            Support(support.value + gain, support.fact) if support.fact else support
            for support, gain in zip(single, gains, strict=True)
        ]

    def _best_fact(self, wanted: Iterable[str]) -> Support:
        weights = {term: self.rarity(term) for term in wanted}
        total = math.fsum(weights.values())
        best = Support(0.0, None)
        for fact, fact_terms, relevance in zip(self.facts, self._fact_terms, self.relevance, strict=True):
            shared = math.fsum(weight * fact_terms.match_score(term) for term, weight in weights.items())
            if shared:
                value = shared / total * relevance
                if value > best.value:
                    best = Support(value, fact)
        return best


def _neighbour_matches(facts: Sequence[Evidence], own: Sequence[float]) -> list[float]:
    """For each spoken line, the better match of its neighbouring lines; 0 for facts from frames."""
    result = [0.0] * len(facts)
    spoken = [index for index, fact in enumerate(facts) if fact.kind == "subtitle"]
    for before, after in pairwise(spoken):
        if not are_neighbours(facts[before], facts[after]):
            continue
        result[before] = max(result[before], own[after])
        result[after] = max(result[after], own[before])
    return result


def probabilities(supports: Sequence[Support], sharpness: float = 6.0) -> list[float]:
    """A softmax over the supports."""
    powers = [math.exp(sharpness * support.value) for support in supports]
    return [power / sum(powers) for power in powers]

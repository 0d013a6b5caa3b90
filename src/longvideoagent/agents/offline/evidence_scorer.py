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

from longvideoagent.agents.offline.fact_index import fact_index
from longvideoagent.agents.offline.likelihood import are_neighbours, distinctive_terms
from longvideoagent.agents.offline.parsed_question import PERSON_TERMS, parse_question
from longvideoagent.core.types import Evidence, Question
from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import ENGLISH

_SPEAKER = re.compile(r"^([^\s:][^:]{0,30}?)\s*:\s")
SPOKEN_DISCOUNT = 0.5
"""The factor for a spoken line if the question asks for something visible."""
QUESTION_WEIGHT = 0.65
"""The fraction of a fact's support that depends on its match with the question."""
NEARNESS_DECAY_S = 15.0
"""The time in which nearness to the anchor falls to 1/e."""


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


class EvidenceScorer:
    """Scores facts (lines and detections, in order of time) for one question. Weights are summed with
    ``math.fsum``, because the order of a set of terms differs between processes.

    Args:
        question: The question.
        facts: The lines and detections.
        is_excerpt: Whether search chose the lines.
        language: That of the lines.
    """

    def __init__(
        self, question: Question, facts: Sequence[Evidence], is_excerpt: bool = True, language: str = ENGLISH
    ) -> None:
        self.question = question
        self.is_excerpt = is_excerpt
        self.language = language
        self.facts = sorted(facts, key=lambda fact: (fact.start_s, fact.end_s))
        self.parsed = parse_question(question.text)
        self._index = fact_index(tuple(self.facts), language)

    def terms(self, text: str) -> tuple[str, ...]:
        """The terms of a text about these facts."""
        return terms(text, self.language)

    def frequency(self, term: str) -> int:
        """The number of facts that contain a term."""
        return len(self._index.matches(term))

    def rarity(self, term: str) -> float:
        """The weight of a term: high if few facts contain it."""
        return math.log(1 + len(self.facts) / (1 + self.frequency(term)))

    @cached_property
    def anchor(self) -> Anchor | None:
        """The fact that best matches the asked moment. Subtitle lines are preferred, since questions describe moments
        by what is said."""
        weights = self._rarities(self.terms(self.parsed.clause or self.question.text))
        total = math.fsum(weights.values())
        best: Anchor | None = None
        for number, shared in self._index.sums(weights).items():
            fact = self.facts[number]
            fraction = shared / total * (1.0 if fact.kind == "subtitle" else 0.8)
            if fraction > 0 and (best is None or fraction > best.fraction):
                best = Anchor(fact, fraction)
        return best

    @cached_property
    def main_terms(self) -> frozenset[str]:
        """The terms of the main part. If it asks for a person at a moment, the anchor's speaker is added."""
        wanted = set(self.terms(self.parsed.main))
        if self.anchor is not None and self.parsed.relation and wanted & PERSON_TERMS:
            speaker = _SPEAKER.match(self.anchor.fact.text)
            wanted |= set(self.terms(speaker[1])) if speaker else set()
        return frozenset(wanted)

    @cached_property
    def relevance(self) -> list[float]:
        """The relevance of each fact, 0 to 1: the fraction of the question's known terms that it contains, times its
        nearness to the anchor. The match of a neighbouring line counts half."""
        known = self._rarities(term for term in self.main_terms if self.frequency(term))
        total = math.fsum(known.values()) or 1.0
        sums = self._index.sums(known)
        own = [sums.get(number, 0.0) / total for number in range(len(self.facts))]
        neighbours = _neighbour_matches(self.facts, own)
        return [
            self._discount(fact) * self.nearness(fact) * (1 - QUESTION_WEIGHT + QUESTION_WEIGHT * max(match, near / 2))
            for fact, match, near in zip(self.facts, own, neighbours, strict=True)
        ]

    @cached_property
    def matches(self) -> list[bool]:
        """For each fact, whether it shares any term with the question."""
        matching = {number for term in self.terms(self.question.text) for number in self._index.matches(term)}
        return [number in matching for number in range(len(self.facts))]

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
        question_terms = set(self.terms(self.question.text))
        if not question_terms:
            return 0.0
        chosen = [self.facts.index(fact) for fact in facts]
        held = sum(any(number in self._index.matches(term) for number in chosen) for term in question_terms)
        return held / len(question_terms)

    def richness(self, fact: Evidence) -> float:
        """The information in a fact, independent of the question: the summed rarity of its terms."""
        return math.fsum(self.rarity(term) for term in set(self.terms(fact.text)))

    @cached_property
    def supports(self) -> list[Support]:
        """The support for each option, in order: that of the best single fact."""
        return [self._best_fact(wanted) for wanted in distinctive_terms(self.question, self.language)]

    def _best_fact(self, wanted: Iterable[str]) -> Support:
        weights = self._rarities(wanted)
        total = math.fsum(weights.values())
        best = Support(0.0, None)
        for number, shared in self._index.sums(weights).items():
            value = shared / total * self.relevance[number]
            if value > best.value:
                best = Support(value, self.facts[number])
        return best

    def _rarities(self, wanted: Iterable[str]) -> dict[str, float]:
        return {term: self.rarity(term) for term in wanted}


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

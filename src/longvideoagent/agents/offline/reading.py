"""Weighs how well what is known supports each option, or each sentence, of an answer.

The question is taken apart into what is asked and the moment it is asked of ("…when Otto says X").
The moment is found first, as the line that shares most rare terms with it (the anchor). A fact then
supports an option by the rare terms they share, more so where it also shares terms with the question
and stands in the asked relation (when, before, after) to the anchor. The position of an
option plays no part, and its length none for its own sake: but each of its terms that is not heard speaks
against it, so of two options with equal hits the one with fewer terms is preferred.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from longvideoagent.agents.offline.likelihood import are_neighbours, distinctive_terms, option_likelihoods
from longvideoagent.agents.offline.terms import terms
from longvideoagent.core.types import Evidence, Question

_MOMENT = re.compile(
    r"\b(?P<relation>when|while|as soon as|once|until|after|before"
    r"|who (?:says?|said|tells?|told|asks?|asked|mentions?))"
    r"\b\s+(?P<clause>[^,?]{3,})",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"^\s*(?:at|in|on|inside|during)\b\s+(?P<clause>[^,?]{2,60}),\s*(?P<main>.{3,})", re.IGNORECASE | re.DOTALL
)
_SPEAKER = re.compile(r"^([^\s:][^:]{0,30}?)\s*:\s")
PICTURE_TERMS = frozenset(
    terms(
        """shirt colour color sign slide screen title credits written wearing wears poster board picture shown visible
        moves moving prop holding hat jacket dress background face faces logo caption banner"""
    )
)
GENERIC_TERMS = frozenset(terms("happen happening video clip scene film movie show shown see describe going start end"))
PERSON_TERMS = frozenset(terms("person someone speaker man woman figure guy girl boy"))

LEAST_FUZZY = 4
LEAST_ONE_EDIT = 5
"""Letters from which a term read off a frame is matched with tolerance."""
FUZZY = 0.7
"""What a match that took tolerance is worth."""
_QUOTED = re.compile(r"“([^”]*)”")
_LETTERS = re.compile(r"\w+")
_LOOK_ALIKES = str.maketrans("l1!0", "iiio")

PICTURE_DISCOUNT = 0.5
"""What a spoken line is worth where the question asks for something to be seen."""
HEARD_SHARE = 0.5
"""What the likelihood of an option given all lines adds to the support by its best fact."""
QUESTION_SHARE = 0.65
"""How much of a fact's support depends on its match with the question."""
FAR_S = 15.0
"""Seconds over which nearness to the anchor falls to a third."""


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """A question taken apart."""

    main: str
    relation: str
    """"when", "before", "after", "during" (a setting: "At the bakery, …"), or empty."""
    clause: str
    wants_picture: bool


@dataclass(frozen=True, slots=True)
class Support:
    """How well one option is supported, and by what."""

    value: float
    fact: Evidence | None


def take_apart(text: str) -> ParsedQuestion:
    """Split a question into what is asked and the moment it is asked of."""
    match = _MOMENT.search(text)
    wants_picture = bool(PICTURE_TERMS & set(terms(text)))
    if match is None:
        setting = _SETTING.match(text)
        if setting is None:
            return ParsedQuestion(text, "", "", wants_picture)
        return ParsedQuestion(setting["main"], "during", setting["clause"], wants_picture)
    main = " ".join((text[: match.start()] + text[match.end() :]).split()).replace(" ?", "?")
    relation = match["relation"].lower()
    if not set(terms(main)) - PERSON_TERMS and relation not in ("after", "before"):
        return ParsedQuestion(text, "", "", wants_picture)
    return ParsedQuestion(main, relation if relation in ("after", "before") else "when", match["clause"], wants_picture)


@dataclass(frozen=True, slots=True)
class Words:
    """The terms of a fact. Character recognition confuses similar letters and swallows spaces and
    thin letters, so what was read off a frame is matched with some tolerance."""

    exact: frozenset[str]
    squeezed: str
    """For a frame the text read there, without spaces and with look-alike letters folded, pieces
    kept apart; else empty."""

    @classmethod
    def of(cls, fact: Evidence) -> Words:
        """The terms of that fact."""
        if fact.kind != "frame":
            return cls(frozenset(terms(fact.text)), "")
        read = _QUOTED.findall(fact.text) or [fact.text]
        squeezed = "|".join(_fold("".join(_LETTERS.findall(piece))) for piece in read)
        return cls(frozenset(terms(fact.text)), squeezed)

    def hold(self, term: str) -> float:
        """How surely the term stands in the fact: 1, or ``FUZZY`` where it takes tolerance: inside a
        longer piece of text, or with one letter wrong. A stem's last letter may differ too."""
        if term in self.exact:
            return 1.0
        if not self.squeezed or len(term) < LEAST_FUZZY:
            return 0.0
        folded = _fold(term)
        is_inside = folded[: max(LEAST_FUZZY, len(folded) - 1)] in self.squeezed
        return FUZZY if is_inside or any(_is_one_edit(_fold(word), folded) for word in self.exact) else 0.0


def _is_one_edit(one: str, other: str) -> bool:
    """Whether two terms of at least ``LEAST_ONE_EDIT`` letters differ by one letter changed, added or
    lost."""
    short, long = sorted((one, other), key=len)
    if len(short) < LEAST_ONE_EDIT - 1 or len(long) < LEAST_ONE_EDIT or len(long) - len(short) > 1:
        return False
    same = next((i for i, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    return short[same + (len(short) == len(long)) :] == long[same + 1 :]


def _fold(text: str) -> str:
    return text.casefold().translate(_LOOK_ALIKES)


class EvidenceScorer:
    """One question read against the facts at hand (lines and what was seen), in order of time. Weights of terms are
    summed exactly, since sets of terms have another order in each process."""

    def __init__(self, question: Question, facts: Sequence[Evidence], is_excerpt: bool = True) -> None:
        self.question = question
        self.is_excerpt = is_excerpt
        self.facts = sorted(facts, key=lambda fact: (fact.start_s, fact.end_s))
        self.asked = take_apart(question.text)
        self._words = [Words.of(fact) for fact in self.facts]
        self._frequency: dict[str, int] = {}

    def frequency(self, term: str) -> int:
        """How many facts hold a term."""
        if term not in self._frequency:
            self._frequency[term] = sum(words.hold(term) > 0 for words in self._words)
        return self._frequency[term]

    def rarity(self, term: str) -> float:
        """Weight of a term: high where few facts hold it."""
        return math.log(1 + len(self.facts) / (1 + self.frequency(term)))

    @cached_property
    def anchor(self) -> tuple[Evidence, float] | None:
        """The fact that best names the asked moment and the share of the clause it matches; lines
        are preferred, since moments are named by what is said."""
        wanted = set(terms(self.asked.clause or self.question.text))
        total = math.fsum(self.rarity(term) for term in wanted)
        best: tuple[Evidence, float] | None = None
        for fact, words in zip(self.facts, self._words, strict=True):
            share = math.fsum(self.rarity(term) * words.hold(term) for term in wanted) / total if total else 0.0
            share *= 1.0 if fact.kind == "subtitle" else 0.8
            if share > 0 and (best is None or share > best[1]):
                best = fact, share
        return best

    @cached_property
    def main_terms(self) -> frozenset[str]:
        """Terms of what is asked; "the person who says X" adds the name of who says it."""
        wanted = set(terms(self.asked.main))
        if self.anchor is not None and self.asked.relation and wanted & PERSON_TERMS:
            speaker = _SPEAKER.match(self.anchor[0].text)
            wanted |= set(terms(speaker[1])) if speaker else set()
        return frozenset(wanted)

    @cached_property
    def relevance(self) -> list[float]:
        """For each fact, 0 to 1: its share of the question's known terms, times its nearness to the
        asked moment. A fact's neighbours lend it half of what they match."""
        known = {term: self.rarity(term) for term in self.main_terms if self.frequency(term)}
        total = math.fsum(known.values()) or 1.0
        own = [math.fsum(rarity * words.hold(term) for term, rarity in known.items()) / total for words in self._words]
        lent = _lend(self.facts, own)
        return [
            self._discount(fact) * self.nearness(fact) * (1 - QUESTION_SHARE + QUESTION_SHARE * max(match, near / 2))
            for fact, match, near in zip(self.facts, own, lent, strict=True)
        ]

    @cached_property
    def matches(self) -> list[bool]:
        """For each fact, whether it shares any term with the question."""
        asked = set(terms(self.question.text))
        return [any(words.hold(term) for term in asked) for words in self._words]

    def _discount(self, fact: Evidence) -> float:
        return PICTURE_DISCOUNT if self.asked.wants_picture and fact.kind == "subtitle" else 1.0

    def nearness(self, fact: Evidence) -> float:
        """1 where the fact stands in the asked relation to the anchor, less the farther it is off."""
        if self.anchor is None:
            return 1.0
        moment = self.anchor[0]
        gap_s = max(fact.start_s - moment.end_s, moment.start_s - fact.end_s, 0.0)
        near = math.exp(-gap_s / FAR_S)
        if self.asked.relation in ("", "during"):
            return 0.5 + 0.5 * near
        if self.asked.relation == "when":
            return 1.0 if gap_s == 0 else 0.2 + 0.6 * near
        if fact is moment:
            return 0.1
        later = fact.start_s > moment.start_s
        return 0.1 + 0.9 * near if later == (self.asked.relation == "after") else 0.15

    def coverage(self, facts: Sequence[Evidence]) -> float:
        """The share, 0 to 1, of the question's terms that some of these facts hold."""
        asked = set(terms(self.question.text))
        words = [self._words[self.facts.index(fact)] for fact in facts]
        return sum(any(each.hold(term) for each in words) for term in asked) / len(asked) if asked else 0.0

    def richness(self, fact: Evidence) -> float:
        """How much a fact tells, whatever is asked: the rarity of its terms taken together."""
        return math.fsum(self.rarity(term) for term in set(terms(fact.text)))

    def supports(self) -> list[Support]:
        """Support for each option, in their order: that of the best single fact, and more where the
        lines as a whole make the option likelier than chance. They are not asked where the question is
        of something seen, or of a setting, which is named once and then talked on in."""
        heard = [fact for fact in self.facts if fact.kind == "subtitle"]
        single = [self._best_fact(wanted) for wanted in distinctive_terms(self.question)]
        if self.asked.wants_picture or self.asked.relation == "during" or not heard:
            return single
        likely = option_likelihoods(self.question, heard, self.is_excerpt)
        gains = [HEARD_SHARE * max(0.0, each - 1 / len(likely)) for each in likely]
        return [
            Support(support.value + gain, support.fact) if support.fact else support
            for support, gain in zip(single, gains, strict=True)
        ]

    def _best_fact(self, wanted: Iterable[str]) -> Support:
        weights = {term: self.rarity(term) for term in wanted}
        total = math.fsum(weights.values())
        best = Support(0.0, None)
        for fact, words, relevance in zip(self.facts, self._words, self.relevance, strict=True):
            shared = math.fsum(weight * words.hold(term) for term, weight in weights.items())
            if shared:
                value = shared / total * relevance
                if value > best.value:
                    best = Support(value, fact)
        return best


def _lend(facts: Sequence[Evidence], own: Sequence[float]) -> list[float]:
    """For each line, the better match of its neighbours among the spoken lines. What is seen on a frame stands
    for itself."""
    lent = [0.0] * len(facts)
    without_reasoning = [index for index, fact in enumerate(facts) if fact.kind == "subtitle"]
    for before, after in pairwise(without_reasoning):
        if not are_neighbours(facts[before], facts[after]):
            continue
        lent[before] = max(lent[before], own[after])
        lent[after] = max(lent[after], own[before])
    return lent


def probabilities(supports: Sequence[Support], sharpness: float = 6.0) -> list[float]:
    """A softmax over the supports."""
    powers = [math.exp(sharpness * support.value) for support in supports]
    return [power / sum(powers) for power in powers]

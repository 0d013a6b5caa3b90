"""Which facts contain a term: exactly, or with the tolerance that text recognized in frames needs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from longvideoagent.agents.offline.screen_texts import colours_behind, recognized_texts
from longvideoagent.core.types import Evidence
from longvideoagent.index.terms import terms
from longvideoagent.media.text_columns import fold_recognized

MIN_FUZZY_LETTERS = 4
MIN_ONE_EDIT_LETTERS = 5
"""Letters a term needs to be matched with tolerance in text recognized in a frame."""
FUZZY_SCORE = 0.7
"""The score of a match with tolerance."""


@dataclass(frozen=True, slots=True)
class FactTerms:
    """The terms of a fact. Character recognition confuses similar letters and drops spaces and thin letters, so text
    recognized in a frame is matched with some tolerance."""

    exact: frozenset[str]
    recognized: frozenset[str]
    """Those of text recognized in a frame."""
    squeezed: str
    """The text recognized in a frame, in pieces separated by ``|``, without spaces and with look-alike letters unified;
    empty for other facts."""

    @classmethod
    def from_fact(cls, fact: Evidence, language: str) -> FactTerms:
        """The terms of a fact about a text in a language; of what a detector found, those of its labels, and of a text
        in a frame, the text and the colours behind it: where it stands is in words of vision."""
        if fact.label:
            return cls(frozenset(terms(fact.label, language)), frozenset(), "")
        pieces = recognized_texts(fact)
        if not pieces:
            return cls(frozenset(terms(fact.text, language)), frozenset(), "")
        recognized = frozenset(terms(" ".join(pieces), language))
        colours = terms(" ".join(colours_behind(fact)), language)
        return cls(recognized | frozenset(colours), recognized, "|".join(map(fold_recognized, pieces)))

    def match_score(self, term: str) -> float:
        """1 if the fact contains the term; ``FUZZY_SCORE`` if it contains the term inside a longer piece of text, or
        with one wrong letter; else 0. The last letter of a stem may differ."""
        if term in self.exact:
            return 1.0
        if not self.squeezed or len(term) < MIN_FUZZY_LETTERS:
            return 0.0
        folded = fold_recognized(term)
        is_inside = folded[: max(MIN_FUZZY_LETTERS, len(folded) - 1)] in self.squeezed
        return (
            FUZZY_SCORE
            if is_inside or any(_is_one_edit(fold_recognized(word), folded) for word in self.recognized)
            else 0.0
        )


def _is_one_edit(one: str, other: str) -> bool:
    """Whether two terms of at least ``MIN_ONE_EDIT_LETTERS`` letters differ by one letter changed, added or lost."""
    short, long = sorted((one, other), key=len)
    if len(short) < MIN_ONE_EDIT_LETTERS - 1 or len(long) < MIN_ONE_EDIT_LETTERS or len(long) - len(short) > 1:
        return False
    same = next((i for i, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    if len(short) == len(long):
        return short[same + 1 :] == long[same + 1 :]
    return short[same:] == long[same + 1 :]


class FactIndex:
    """The facts that contain each term, which are found once for all questions about them."""

    def __init__(self, facts: Sequence[Evidence], language: str) -> None:
        self._fact_terms = [FactTerms.from_fact(fact, language) for fact in facts]
        exact: defaultdict[str, list[int]] = defaultdict(list)
        for number, fact_terms in enumerate(self._fact_terms):
            for term in fact_terms.exact:
                exact[term].append(number)
        self._exact = dict(exact)
        self._tolerant = [number for number, fact_terms in enumerate(self._fact_terms) if fact_terms.squeezed]
        self._matches: dict[str, Mapping[int, float]] = {}

    def matches(self, term: str) -> Mapping[int, float]:
        """The numbers of the facts that contain a term, in order, each with its ``match_score``."""
        if term not in self._matches:
            found = dict.fromkeys(self._exact.get(term, ()), 1.0)
            for number in self._tolerant:
                if score := self._fact_terms[number].match_score(term):
                    found[number] = score
            self._matches[term] = found
        return self._matches[term]

    def sums(self, weights: Mapping[str, float]) -> dict[int, float]:
        """For each fact that contains any of the terms, the sum of their weights times match scores. Sums are exact
        (``math.fsum``), because the order of a set of terms differs between processes."""
        parts: dict[int, list[float]] = {}
        for term, weight in weights.items():
            for number, score in self.matches(term).items():
                parts.setdefault(number, []).append(weight * score)
        return {number: math.fsum(parts[number]) for number in sorted(parts)}


@lru_cache(maxsize=8)
def fact_index(facts: tuple[Evidence, ...], language: str) -> FactIndex:
    """The index of facts, from a cache if the last few calls had the same ones."""
    return FactIndex(facts, language)

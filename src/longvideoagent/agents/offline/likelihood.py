"""The likelihood of the spoken lines given each option: a naive Bayes model of the moment that is asked about.

The model assumes that the question is about one moment in the lines. Around it, each term of the question and of the
correct option is spoken with a fixed probability; everywhere else, at its background rate. The moment is unknown, so
the likelihood is summed over all moments: an option gains from every place where its terms and the question's occur
together, not only from the best place.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.types import Evidence, Question
from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import ENGLISH

P_QUESTION_TERM = 0.5
P_OPTION_TERM = 0.45
"""Probability that a term of the question, or of the correct option, is spoken around the moment."""
REACH_LINES = 1
"""Lines before and after a line that count as around it."""
PAUSE_S = 20.0
"""Lines further apart belong to different moments: lines between them were left out, or nobody spoke."""
UNSEEN_PER_LINE = 4.0
"""Unseen lines of the video per seen line, if search chose the lines. Search prefers lines with the terms of the
question, so among those alone the terms would look common."""

Scores = NDArray[np.float64]


def are_neighbours(line: Evidence, following: Evidence) -> bool:
    """Whether a line follows another closely enough to belong to the same moment."""
    return following.start_s - line.end_s <= PAUSE_S


def option_likelihoods(
    question: Question, lines: Sequence[Evidence], is_excerpt: bool, language: str = ENGLISH
) -> list[float]:
    """The probability of each option, summing to 1, given lines in order of time; all equal if no line holds a term of
    any option. ``is_excerpt``: whether search chose the lines; ``language``: theirs."""
    index = _term_index(tuple(lines), UNSEEN_PER_LINE if is_excerpt else 0.0, language)
    options = distinctive_terms(question, language)
    if not any(index.holds(term) for option in options for term in option):
        return [1 / len(options)] * len(options)
    question_ratios = index.log_ratios(terms(question.text, language), P_QUESTION_TERM)
    logs = [np.logaddexp.reduce(question_ratios + index.log_ratios(option, P_OPTION_TERM)) for option in options]
    return [float(math.exp(log - np.logaddexp.reduce(logs))) for log in logs]


def distinctive_terms(question: Question, language: str = ENGLISH) -> list[set[str]]:
    """For each option, its terms that are neither in the question nor in every option; all of its terms if none is
    left."""
    options = [set(terms(option, language)) for option in question.options]
    common = set(terms(question.text, language)) | set.intersection(*options)
    return [option - common or option for option in options]


class _TermIndex:
    """The lines that hold each term."""

    def __init__(self, lines: Sequence[Evidence], unseen_per_line: float, language: str) -> None:
        self._count = len(lines)
        breaks = [number for number in range(1, len(lines)) if not are_neighbours(lines[number - 1], lines[number])]
        self._moments = [0, *breaks, self._count]
        self._background = self._count * (1 + unseen_per_line)
        self._lines_of_term: dict[str, list[int]] = {}
        self._near_of_term: dict[str, NDArray[np.int64]] = {}
        for number, line in enumerate(lines):
            for term in set(terms(line.text, language)):
                self._lines_of_term.setdefault(term, []).append(number)

    def holds(self, term: str) -> bool:
        return term in self._lines_of_term

    def log_ratios(self, wanted: Iterable[str], p_spoken: float) -> Scores:
        """For each line as the moment, the log likelihood ratio of the terms: around it against elsewhere."""
        total = np.zeros(self._count)
        for term in sorted(set(wanted)):
            near = self._near(term)
            rate = (len(near) + 0.5) / (self._background + 1)
            elsewhere = math.log(1 - p_spoken)
            total += elsewhere
            total[near] += math.log((p_spoken + (1 - p_spoken) * rate) / rate) - elsewhere
        return total

    def _near(self, term: str) -> NDArray[np.int64]:
        """The numbers of the lines around which a term is spoken."""
        if term not in self._near_of_term:
            near: set[int] = set()
            for number in self._lines_of_term.get(term, ()):
                moment = bisect_right(self._moments, number)
                first, end = self._moments[moment - 1], self._moments[moment]
                near.update(range(max(first, number - REACH_LINES), min(end, number + REACH_LINES + 1)))
            self._near_of_term[term] = np.array(sorted(near), dtype=np.int64)
        return self._near_of_term[term]


@lru_cache(maxsize=8)
def _term_index(lines: tuple[Evidence, ...], unseen_per_line: float, language: str) -> _TermIndex:
    """The index of lines, from a cache if the last few calls had the same ones."""
    return _TermIndex(lines, unseen_per_line, language)

"""How likely each option makes the lines that were heard: a naive Bayes model of where it was said.

Somewhere in the lines is the moment that the question is about. Around it the terms of the question
and of the right option are spoken with a fixed probability each, everywhere else at the rate at
which they occur anyway. The moment is not known, so all moments are summed over: an option gains by
every place where its terms and the question's meet, not by the best one alone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from longvideoagent.agents.offline.terms import terms
from longvideoagent.core.types import Evidence, Question

SPOKEN_QUESTION = 0.5
SPOKEN_OPTION = 0.45
"""Probability that a term of the question, or of the right option, is spoken around the moment."""
REACH_LINES = 1
"""Lines before and after a line that count as around it."""
PAUSE_S = 20.0
"""Lines farther apart belong to different moments: between them others were left out, or nothing was said."""
UNSEEN_PER_LINE = 4.0
"""Lines of the video that were not seen, for each that was, where search chose what is seen. Search
prefers lines that hold the terms asked for, so among those alone the terms would look common."""

Scores = NDArray[np.float64]


def are_neighbours(line: Evidence, following: Evidence) -> bool:
    """Whether a line follows another closely enough to be of the same moment."""
    return following.start_s - line.end_s <= PAUSE_S


def option_likelihoods(question: Question, lines: Sequence[Evidence], is_excerpt: bool) -> list[float]:
    """The probability of each option, summing to 1, given lines in order of time; all equal where no
    line holds a term of any option. ``is_excerpt`` says that search chose the lines."""
    without_reasoning = _Spoken(lines, UNSEEN_PER_LINE if is_excerpt else 0.0)
    offered = distinctive_terms(question)
    if not any(without_reasoning.holds(term) for option in offered for term in option):
        return [1 / len(offered)] * len(offered)
    asked = without_reasoning.log_ratios(terms(question.text), SPOKEN_QUESTION)
    logs = [np.logaddexp.reduce(asked + without_reasoning.log_ratios(option, SPOKEN_OPTION)) for option in offered]
    return [float(math.exp(each - np.logaddexp.reduce(logs))) for each in logs]


def distinctive_terms(question: Question) -> list[set[str]]:
    """For each option its terms that neither the question nor every option holds; all of its terms
    where none is left."""
    options = [set(terms(option)) for option in question.options]
    common = set(terms(question.text)) | set.intersection(*options)
    return [option - common or option for option in options]


class _Spoken:
    """Where each term is spoken."""

    def __init__(self, lines: Sequence[Evidence], unseen_per_line: float) -> None:
        self._count = len(lines)
        breaks = [place for place in range(1, len(lines)) if not are_neighbours(lines[place - 1], lines[place])]
        self._moments = [0, *breaks, self._count]
        self._background = self._count * (1 + unseen_per_line)
        self._places: dict[str, list[int]] = {}
        for place, line in enumerate(lines):
            for term in set(terms(line.text)):
                self._places.setdefault(term, []).append(place)

    def holds(self, term: str) -> bool:
        return term in self._places

    def log_ratios(self, wanted: Iterable[str], without_reasoning: float) -> Scores:
        """For each line as the moment, the log of how much likelier the terms around it are than
        anywhere."""
        total = np.zeros(self._count)
        for term in sorted(set(wanted)):
            near = np.zeros(self._count, dtype=bool)
            for place in self._places.get(term, ()):
                moment = bisect_right(self._moments, place)
                first, end = self._moments[moment - 1], self._moments[moment]
                near[max(first, place - REACH_LINES) : min(end, place + REACH_LINES + 1)] = True
            rate = (near.sum() + 0.5) / (self._background + 1)
            total += np.where(
                near,
                math.log((without_reasoning + (1 - without_reasoning) * rate) / rate),
                math.log(1 - without_reasoning),
            )
        return total

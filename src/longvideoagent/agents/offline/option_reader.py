"""The probability of each option: a multinomial logistic regression over ``option_features``.

``benchmarks/fit_reading.py`` fits the weights, which ``reading.json`` lists: for search over a whole video, and for an
excerpt, the clips that were located.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.line_index import Scores
from longvideoagent.agents.offline.option_features import FEATURES, Features, best_line, option_features
from longvideoagent.agents.offline.question_words import YES_OR_NO
from longvideoagent.core.types import Evidence

WEIGHTS_FILE = Path(__file__).with_name("reading.json")
PROBABILITY_DIGITS = 9
"""Probabilities that are equal to so many digits are equal: rounding differs with the order of the options."""


class OptionReading(NamedTuple):
    """How likely an option is the answer, and the fact that supports it best."""

    probability: float
    fact: Evidence | None


@dataclass(frozen=True, slots=True)
class ReadingModel:
    """The weights of a logistic regression, one for each of ``FEATURES``, in their units."""

    weights: tuple[float, ...]

    def probabilities(self, features: Features) -> Scores:
        """The probability of each option, summing to 1."""
        scores = features @ np.array(self.weights)
        powers = np.exp(scores - scores.max())
        result: Scores = powers / powers.sum()
        return result


@cache
def reading_model(is_excerpt: bool) -> ReadingModel:
    """The fitted weights, for an excerpt or for all lines of a video."""
    weights = json.loads(WEIGHTS_FILE.read_text())["excerpt" if is_excerpt else "whole"]
    return ReadingModel(tuple(float(weights[name]) for name in FEATURES))


def read_options(scorer: EvidenceScorer) -> list[OptionReading]:
    """The probability of each option of the scorer's question, in order, and the fact that supports it best. All are
    equal if no fact supports any, whatever small words they share with lines, or if they say no more than yes or no."""
    if all(YES_OR_NO.fullmatch(option) for option in scorer.question.options):
        return [OptionReading(1 / len(scorer.question.options), None) for _ in scorer.question.options]
    supports = enumerate(scorer.supports)
    facts = [support.fact or best_line(scorer, number) for number, support in supports]
    if not any(facts):
        return [OptionReading(1 / len(facts), None) for _ in facts]
    probabilities = reading_model(scorer.is_excerpt).probabilities(option_features(scorer))
    return [
        OptionReading(round(float(probability), PROBABILITY_DIGITS), fact)
        for probability, fact in zip(probabilities, facts, strict=True)
    ]

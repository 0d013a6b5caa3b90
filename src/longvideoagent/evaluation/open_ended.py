"""The score of an answer to an open-ended question, by the metric of its reference.

================  ==========================================  ===================
metric            score                                       correct
================  ==========================================  ===================
``exact_match``   1 if it is one of the right values, else 0  score 1
``time``          1 within the tolerance, else 0              score 1
``set_f1``        F1 of its items against those of the set    all items, no other
``order``         fraction of pairs in the right order        all pairs
================  ==========================================  ===================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from longvideoagent.core.answer_match import is_exact_match, is_time_match, match_order, match_set
from longvideoagent.datasets.gold import OpenMetric, Reference


@dataclass(frozen=True, slots=True)
class OpenScore:
    """How well an open-ended answer fits its reference."""

    metric: OpenMetric
    value: float
    """0 to 1."""
    precision: float | None = None
    """``set_f1``: the fraction of the answer's items that are in the set."""
    recall: float | None = None
    """``set_f1``: the fraction of the set's items that are in the answer."""

    @property
    def correct(self) -> bool:
        """Whether nothing is missing or wrong."""
        return self.value >= 1


def score_open(answer: str, reference: Reference) -> OpenScore:
    """Score the text of an answer; an empty one scores 0."""
    match reference.metric:
        case "exact_match":
            return OpenScore("exact_match", float(is_exact_match(answer, reference.values, reference.wrong)))
        case "time":
            return OpenScore("time", float(is_time_match(answer, reference.time_s or 0.0, reference.tolerance_s)))
        case "set_f1":
            match = match_set(answer, reference.values)
            return OpenScore("set_f1", match.f1, match.precision, match.recall)
        case "order":
            return OpenScore("order", match_order(answer, reference.values))
        case _:
            assert_never(reference.metric)

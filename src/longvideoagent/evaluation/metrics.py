"""The metrics of a run: pure functions of scores. Every fraction has its standard error.

Questions about one video are not independent, so errors are clustered by video (cluster-robust standard errors): the
spread of the videos' sums of deviations, divided by the number of questions. A single video has no spread, and no
error. The keys of ``summarize`` are stable and documented in docs/evaluation.md.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from longvideoagent.core.actions import ACTIONS, AGENT_NAMES, AgentName, Answer
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.types import Usage
from longvideoagent.evaluation.score import SampleScore

MAX_CAUSES = 5
"""Causes of failures in a summary; each question may have its own."""
Z_95 = 1.959964
NUM_BINS = 10
CONFIDENT = 0.5
"""An answer with a higher confidence is shown as one to rely on."""
COVERAGES = tuple(round(0.1 * step, 1) for step in range(1, 11))


class Interval(NamedTuple):
    """The bounds of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions, and its standard error clustered by video."""

    mean: float
    standard_error: float | None
    """None for a single video."""
    num_questions: int
    num_videos: int

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of a fraction, or None if there is no spread to estimate it from. Videos that are all
        correct or all wrong have no spread, but their number bounds how likely another result is."""
        if self.standard_error:
            margin = Z_95 * self.standard_error
            return Interval(max(0.0, self.mean - margin), min(1.0, self.mean + margin))
        if self.standard_error is None or self.mean not in (0, 1):
            return None
        bound = 0.05 ** (1 / self.num_videos)  # the exact form of the rule of three, 1 - 3 / n
        return Interval(bound, 1.0) if self.mean else Interval(0.0, 1 - bound)


def estimate(values: Iterable[tuple[str, float]]) -> Estimate | None:
    """The mean of values, each given with its video; None without values."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for cluster, value in values:
        clusters[cluster].append(value)
    flat = [value for group in clusters.values() for value in group]
    if not flat:
        return None
    mean, n, count = math.fsum(flat) / len(flat), len(flat), len(clusters)
    if count == 1:
        return Estimate(mean, None, n, count)
    squares = math.fsum(math.fsum(value - mean for value in group) ** 2 for group in clusters.values())
    error = math.sqrt(squares * count / (count - 1)) / n
    return Estimate(mean, round(error, 12), n, count)  # rounding errors of equal videos are not spread


def accuracy(scores: Iterable[SampleScore]) -> Estimate | None:
    """The fraction of correct answers among questions with a gold option or a reference. No outcome is left out: a
    question without an answer is not correct, and an answer given when a budget was spent counts like any other."""
    return estimate((score.video, float(score.correct)) for score in scores if score.has_gold)


def summarize(scores: Sequence[SampleScore], total: int) -> dict[str, Any]:
    """All metrics of a run of ``total`` questions, as plain values."""
    answered = [score for score in scores if score.outcome is Outcome.ANSWERED]
    return {
        "num_questions": total,
        "num_finished": len(scores),
        "outcomes": {str(outcome): sum(score.outcome is outcome for score in scores) for outcome in Outcome},
        "failures": dict(Counter(score.cause for score in scores if score.cause).most_common(MAX_CAUSES)),
        "invalid_answers": sum(score.is_invalid for score in scores),
        "accuracy": to_dict(accuracy(scores)),
        "accuracy_answered": to_dict(accuracy(answered)),
        "accuracy_not_failed": to_dict(accuracy(score for score in scores if score.outcome is not Outcome.FAILED)),
        "confident_errors": to_dict(confident_errors(scores)),
        "by_form": {
            form: to_dict(accuracy(score for score in scores if score.is_open_ended == is_open))
            for form, is_open in (("multiple_choice", False), ("open_ended", True))
        },
        "open_ended": _open_ended(scores),
        "by_question_word": accuracy_by(scores, lambda score: score.question_word),
        "by_kind": accuracy_by(scores, lambda score: score.kind),
        "grounding": {name: to_dict(_mean_grounding(scores, name)) for name in _GROUNDING},
        "per_question": {
            "rounds": _without_interval(_mean(scores, lambda score: score.num_rounds)),
            **{name: _without_interval(_mean_actions(scores, name)) for name in _ACTION_COUNTS},
        },
        "agents": {agent: _total_usage(scores, agent) for agent in AGENT_NAMES},
        "calibration": calibration(answered),
    }


def confident_errors(scores: Iterable[SampleScore]) -> Estimate | None:
    """The fraction of questions that were answered wrongly with a confidence over ``CONFIDENT``."""
    return estimate(
        (score.video, float(_is_confident(score) and not score.correct)) for score in scores if score.has_gold
    )


def _is_confident(score: SampleScore) -> bool:
    return score.outcome is Outcome.ANSWERED and score.confidence is not None and score.confidence > CONFIDENT


def _open_ended(scores: Iterable[SampleScore]) -> dict[str, Any]:
    """The mean of each metric over the open-ended questions that have it."""
    values: dict[str, list[tuple[str, float]]] = {name: [] for name in OPEN_MEANS}
    for score in scores:
        if (open_score := score.open_score) is None:
            continue
        values[open_score.metric].append((score.video, open_score.value))
        for name, value in (("set_precision", open_score.precision), ("set_recall", open_score.recall)):
            if value is not None:
                values[name].append((score.video, value))
    return {name: to_dict(estimate(each)) for name, each in values.items()}


OPEN_MEANS = ("exact_match", "time", "set_f1", "set_precision", "set_recall", "order")
_GROUNDING = ("first", "last", "any", "window", "iou", "coverage")
_ACTION_COUNTS = tuple(spec.count_name for spec in ACTIONS if spec.type is not Answer)
"""Answers are counted by ``outcomes``."""


def accuracy_by(scores: Iterable[SampleScore], group_of: Callable[[SampleScore], str]) -> dict[str, Any]:
    """Accuracy of each group, the largest first."""
    groups: dict[str, list[SampleScore]] = defaultdict(list)
    for score in scores:
        groups[group_of(score)].append(score)
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return {name: to_dict(accuracy(group)) for name, group in ranked}


class _ConfidentAnswer(NamedTuple):
    """An answer with a stated confidence."""

    confidence: float
    correct: bool


def calibration(answered: Sequence[SampleScore]) -> dict[str, Any]:
    """How well confidence predicts correctness: expected calibration error over ``NUM_BINS`` bins of equal width, the
    bins, and the accuracy of the most confident fraction of the answers. Answers of equal confidence that only partly
    belong to a fraction count with their mean accuracy. Uses only answers with a stated confidence."""
    confident_answers = [
        _ConfidentAnswer(score.confidence, score.correct)
        for score in answered
        if score.confidence is not None and score.has_gold
    ]
    groups: list[list[_ConfidentAnswer]] = [[] for _ in range(NUM_BINS)]
    for answer in confident_answers:
        groups[min(NUM_BINS - 1, int(answer.confidence * NUM_BINS))].append(answer)
    bins = [
        {
            "from": index / NUM_BINS,
            "num_answers": len(group),
            "confidence": _rounded(_average(answer.confidence for answer in group)),
            "accuracy": _rounded(_average(answer.correct for answer in group)),
        }
        for index, group in enumerate(groups)
        if group
    ]
    gaps = [bin_["num_answers"] * abs(bin_["confidence"] - bin_["accuracy"]) for bin_ in bins]
    ranked = _rank_by_confidence(confident_answers)
    fractions = {fraction: ranked[: math.ceil(fraction * len(ranked))] for fraction in COVERAGES if ranked}
    return {
        "num_answers": len(confident_answers),
        "ece": _rounded(math.fsum(gaps) / len(confident_answers)) if confident_answers else None,
        "bins": bins,
        "accuracy_at_coverage": {str(fraction): _rounded(_average(group)) for fraction, group in fractions.items()},
    }


def _rank_by_confidence(confident_answers: Iterable[_ConfidentAnswer]) -> list[float]:
    """The chance that each answer is correct, most confident first. Answers of equal confidence have no order, so each
    gets their mean."""
    by_confidence: dict[float, list[bool]] = defaultdict(list)
    for answer in confident_answers:
        by_confidence[answer.confidence].append(answer.correct)
    ranked = sorted(by_confidence.items(), reverse=True)
    chances: list[float] = []
    for _, group in ranked:
        chances += [_average(group)] * len(group)
    return chances


def to_dict(estimate: Estimate | None) -> dict[str, Any] | None:
    """An estimate as plain values."""
    if estimate is None:
        return None
    interval = estimate.interval and [_rounded(bound) for bound in estimate.interval]
    return {**(_without_interval(estimate) or {}), "interval": interval}


def _without_interval(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    error = None if estimate.standard_error is None else _rounded(estimate.standard_error)
    return {"mean": _rounded(estimate.mean), "standard_error": error, "num_questions": estimate.num_questions}


def _mean_grounding(scores: Iterable[SampleScore], name: str) -> Estimate | None:
    values = ((score.video, getattr(score.grounding, name)) for score in scores)
    return estimate((video, float(value)) for video, value in values if value is not None)


def _mean(scores: Iterable[SampleScore], value_of: Callable[[SampleScore], float]) -> Estimate | None:
    return estimate((score.video, float(value_of(score))) for score in scores)


def _mean_actions(scores: Iterable[SampleScore], name: str) -> Estimate | None:
    return _mean(scores, lambda score: score.actions[name])


def _total_usage(scores: Iterable[SampleScore], agent: AgentName) -> dict[str, Any]:
    total = asdict(sum((score.usage[agent] for score in scores), Usage()))
    return {name: _rounded(value) if isinstance(value, float) else value for name, value in total.items()}


def _average(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def _rounded(value: float) -> float:
    return round(value, 6)

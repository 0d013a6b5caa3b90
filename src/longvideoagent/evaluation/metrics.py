"""The numbers of a run: pure functions on judged questions. Every share has its standard error.

Questions about one episode are not independent, so errors are clustered by episode: the spread of the
episodes' sums of deviations, over the number of questions; a single episode shows no spread, and has no
error. Keys of ``summarize`` are stable and documented in docs/evaluation.md.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from longvideoagent.core.outcome import Outcome
from longvideoagent.core.types import Usage
from longvideoagent.evaluation.score import ROLES, SampleScore

MOST_CAUSES = 5
"""Causes of failures that are kept; each question may have its own."""
Z_95 = 1.959964
BINS = 10
COVERAGES = tuple(round(0.1 * step, 1) for step in range(1, 11))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions, and its standard error clustered by episode."""

    mean: float
    error: float | None
    """None of a single episode."""
    n: int
    episodes: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % of a share of one; None where there is no spread to go by. Episodes that are all right, or all wrong,
        show none, but so many of them bound how likely another is not."""
        if self.error:
            return max(0.0, self.mean - Z_95 * self.error), min(1.0, self.mean + Z_95 * self.error)
        if self.error is None or self.mean not in (0, 1):
            return None
        bound = 0.05 ** (1 / self.episodes)  # the rule of three, 1 - 3 / n, to the letter
        return (bound, 1.0) if self.mean else (0.0, 1 - bound)


def estimate(values: Iterable[tuple[str, float]]) -> Estimate | None:
    """The mean of values, each told with its episode; None of none."""
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
    return Estimate(mean, round(error, 12), n, count)  # what rounding leaves of equal episodes is no spread


def accuracy(judged: Iterable[SampleScore]) -> Estimate | None:
    """The share of right answers among questions whose answer is known. Nothing is left out: a question without
    an answer is not right, and what was answered when a budget was spent counts like any answer."""
    return estimate((each.video, float(each.is_correct)) for each in judged if each.is_known)


def summarize(judged: Sequence[SampleScore], total: int) -> dict[str, Any]:
    """All numbers of a run of ``total`` questions, as plain values."""
    answered = [each for each in judged if each.outcome is Outcome.ANSWERED]
    return {
        "questions": total,
        "finished": len(judged),
        "outcomes": {str(outcome): sum(each.outcome is outcome for each in judged) for outcome in Outcome},
        "failures": dict(Counter(each.cause for each in judged if each.cause).most_common(MOST_CAUSES)),
        "invalid_answers": sum(each.is_invalid for each in judged),
        "accuracy": plain(accuracy(judged)),
        "accuracy_answered": plain(accuracy(answered)),
        "accuracy_not_failed": plain(accuracy(each for each in judged if each.outcome is not Outcome.FAILED)),
        "by_word": by(judged, lambda each: each.word),
        "by_kind": by(judged, lambda each: each.kind),
        "grounding": {name: plain(_grounding(judged, name)) for name in _GROUNDING},
        "per_question": {name: _spread(_mean(judged, name)) for name in _COUNTS},
        "roles": {role: _used(judged, place) for place, role in enumerate(ROLES)},
        "calibration": calibration(answered),
    }


_GROUNDING = ("first", "last", "any", "window", "iou", "covered")
_COUNTS = ("rounds", "looks", "relocations", "invalid_rounds")


def by(judged: Iterable[SampleScore], group_of: Callable[[SampleScore], str]) -> dict[str, Any]:
    """Accuracy of each group, the largest first."""
    groups: dict[str, list[SampleScore]] = defaultdict(list)
    for each in judged:
        groups[group_of(each)].append(each)
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return {name: plain(accuracy(group)) for name, group in ranked}


def calibration(answered: Sequence[SampleScore]) -> dict[str, Any]:
    """How far confidence can be trusted: expected calibration error over ten bins of equal width, the bins,
    and the accuracy of the most confident share of the answers; those of equal confidence that do not all belong
    to it count with their own accuracy. Only answers that state a confidence."""
    sure = [(each.confidence, each.is_correct) for each in answered if each.confidence is not None and each.is_known]
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, is_correct in sure:
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, is_correct))
    told = [
        {
            "from": place / BINS,
            "n": len(group),
            "confidence": _rounded(_share(confidence for confidence, _ in group)),
            "accuracy": _rounded(_share(is_correct for _, is_correct in group)),
        }
        for place, group in enumerate(bins)
        if group
    ]
    gaps = [each["n"] * abs(each["confidence"] - each["accuracy"]) for each in told]
    ranked = _ranked(sure)
    best = {share: ranked[: math.ceil(share * len(ranked))] for share in COVERAGES if ranked}
    return {
        "n": len(sure),
        "ece": _rounded(math.fsum(gaps) / len(sure)) if sure else None,
        "bins": told,
        "accuracy_at_coverage": {str(share): _rounded(_share(group)) for share, group in best.items()},
    }


def _ranked(sure: Iterable[tuple[float, bool]]) -> list[float]:
    """How likely each answer is right, the most confident first: what is equally confident has no order of its own,
    and each of it stands for all."""
    equals: dict[float, list[bool]] = defaultdict(list)
    for confidence, is_correct in sure:
        equals[confidence].append(is_correct)
    ranked = sorted(equals.items(), reverse=True)
    return [right for _, group in ranked for right in [_share(group)] * len(group)]


def plain(told: Estimate | None) -> dict[str, Any] | None:
    """A share as plain values."""
    if told is None:
        return None
    interval = told.interval and [_rounded(bound) for bound in told.interval]
    return {**(_spread(told) or {}), "interval": interval}


def _spread(told: Estimate | None) -> dict[str, Any] | None:
    if told is None:
        return None
    error = None if told.error is None else _rounded(told.error)
    return {"mean": _rounded(told.mean), "error": error, "n": told.n}


def _grounding(judged: Iterable[SampleScore], name: str) -> Estimate | None:
    values = ((each.video, getattr(each.grounding, name)) for each in judged)
    return estimate((video, float(value)) for video, value in values if value is not None)


def _mean(judged: Iterable[SampleScore], name: str) -> Estimate | None:
    return estimate((each.video, float(getattr(each, name))) for each in judged)


def _used(judged: Iterable[SampleScore], place: int) -> dict[str, Any]:
    total = asdict(sum((each.usage[place] for each in judged), Usage()))
    return {name: _rounded(value) if isinstance(value, float) else value for name, value in total.items()}


def _share(values: Iterable[float]) -> float:
    told = list(values)
    return math.fsum(told) / len(told)


def _rounded(value: float) -> float:
    return round(value, 6)

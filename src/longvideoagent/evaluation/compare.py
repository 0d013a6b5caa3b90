"""Why two numbers differ: the settings, the questions that changed, and whether chance may explain it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import DataError
from longvideoagent.evaluation.config import gold_inputs_of
from longvideoagent.evaluation.evaluate import score_run
from longvideoagent.evaluation.metrics import Estimate, Interval, accuracy
from longvideoagent.evaluation.score import SampleScore
from longvideoagent.views.differences import differences
from longvideoagent.views.run_folder import read_config, read_samples

NUM_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Flip:
    """A question that one run answers correctly and the other does not."""

    sample: Sample
    is_gain: bool
    """True where the second run is correct."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the questions that both have finished and that have a gold option or a reference."""

    settings: tuple[str, ...]
    """Fields that differ, versions included, as ``name: first -> second``."""
    gold_inputs: tuple[str, ...]
    """Each way in which a run gives gold to the agents, with the run's folder."""
    num_common: int
    first: Estimate | None
    second: Estimate | None
    gain: float
    """The second accuracy less the first, as a fraction of one."""
    interval: Interval | None
    """95 % of the gain over resampled videos; None for a single video, or where all videos gain alike."""
    p_value: float
    """Exact and two-sided: how likely the gain is if the runs were swapped by chance, video by video."""
    p_value_mcnemar: float
    """McNemar's exact test, two-sided: the same with questions swapped one by one, as if they were independent."""
    flips: tuple[Flip, ...]
    by_form: Mapping[str, FormComparison]
    """Of the questions with options and of the open-ended ones, where the runs have both."""


class FormComparison(NamedTuple):
    """Two runs on the questions of one form."""

    num_common: int
    first: Estimate | None
    second: Estimate | None


class VideoGain(NamedTuple):
    """Of the questions about one video."""

    gain: int
    """How many more the second run answers correctly."""
    num_questions: int


class _Pair(NamedTuple):
    first: SampleScore
    second: SampleScore


def compare(first: Path, second: Path) -> Comparison:
    """Compare two runs. Raises DataError for runs without a common question or with different versions of one."""
    before, now = read_config(first), read_config(second)
    samples, pairs = read_samples(first), _pairs(first, second)
    gains = _gains_by_video(pairs)
    flips = [
        Flip(samples[pair.first.id], pair.second.correct) for pair in pairs if pair.first.correct != pair.second.correct
    ]
    gained = sum(flip.is_gain for flip in flips)
    return Comparison(
        settings=tuple(differences(before, now)),
        gold_inputs=(*_gold_inputs(first, before), *_gold_inputs(second, now)),
        num_common=len(pairs),
        first=accuracy(pair.first for pair in pairs),
        second=accuracy(pair.second for pair in pairs),
        gain=(2 * gained - len(flips)) / len(pairs),
        interval=bootstrap(gains),
        p_value=sign_flip(video_gain.gain for video_gain in gains),
        p_value_mcnemar=mcnemar(gained, len(flips) - gained),
        flips=tuple(flips),
        by_form=_compare_forms(pairs),
    )


def _compare_forms(pairs: Sequence[_Pair]) -> dict[str, FormComparison]:
    groups = {
        form: [pair for pair in pairs if pair.first.is_open_ended == is_open]
        for form, is_open in (("multiple choice", False), ("open-ended", True))
    }
    if not all(groups.values()):
        return {}
    return {
        form: FormComparison(
            len(group), accuracy(pair.first for pair in group), accuracy(pair.second for pair in group)
        )
        for form, group in groups.items()
    }


def _gold_inputs(run: Path, config: dict[str, Any]) -> Iterable[str]:
    return (f"{run}: {description}" for description in gold_inputs_of(config))


def _pairs(first: Path, second: Path) -> list[_Pair]:
    """The scores of questions with gold that both runs have finished."""
    first_samples, second_samples = read_samples(first), read_samples(second)
    first_scores, second_scores = (_scores_with_gold(path) for path in (first, second))
    common = [name for name in first_scores if name in second_scores]
    if not common:
        raise DataError(f"{first} and {second} share no finished question; compare runs of one data set")
    for name in common:
        if first_samples[name].question != second_samples[name].question:
            raise DataError(f"{first} and {second} differ in the text of question {name}; compare runs of one data set")
        golds = (first_samples[name].gold, second_samples[name].gold)
        if len({(gold.option_index, gold.reference) for gold in golds}) > 1:
            raise DataError(f"{first} and {second} differ in the gold answer of question {name}; check the data")
    return [_Pair(first_scores[name], second_scores[name]) for name in common]


def _scores_with_gold(path: Path) -> dict[str, SampleScore]:
    return {score.id: score for score in score_run(path) if score.has_gold}


def _gains_by_video(pairs: Iterable[_Pair]) -> list[VideoGain]:
    gains: dict[str, VideoGain] = defaultdict(lambda: VideoGain(0, 0))
    for pair in pairs:
        gain, num_questions = gains[pair.first.video]
        gains[pair.first.video] = VideoGain(gain + pair.second.correct - pair.first.correct, num_questions + 1)
    return list(gains.values())


def sign_flip(gains: Iterable[int]) -> float:
    """Two-sided exact p of gains by video under random signs: the fraction of sign patterns whose sum is at least as
    far from zero. With one question a video it is McNemar's test."""
    nonzero = [gain for gain in gains if gain]
    reach = sum(map(abs, nonzero))
    chances = np.zeros(2 * reach + 1)  # of each sum from -reach to reach
    chances[reach] = 1
    for gain in nonzero:
        chances = (np.roll(chances, gain) + np.roll(chances, -gain)) / 2
    far = np.abs(np.arange(-reach, reach + 1)) >= abs(sum(nonzero))
    return min(1.0, float(chances[far].sum()))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p of so uneven a split under equal chances (binomial test)."""
    flips, fewer = gained + lost, min(gained, lost)
    ratios = np.arange(flips, flips - fewer, -1) / np.arange(1, fewer + 1)  # of successive binomial coefficients
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    return min(1.0, math.exp(np.logaddexp.reduce(logs) + (1 - flips) * math.log(2)))


def bootstrap(gains: Sequence[VideoGain], num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> Interval | None:
    """The middle 95 % of the gain when videos, each with its questions, are drawn with replacement. None
    where all gain alike, since what does not vary here may vary elsewhere."""
    if len({video_gain.gain / video_gain.num_questions for video_gain in gains}) == 1:
        return None
    distinct, counts = np.unique(gains, axis=0, return_counts=True)  # few values, however many videos
    draws = np.random.default_rng(seed).multinomial(len(gains), counts / len(gains), num_resamples)
    low, high = np.quantile((draws @ distinct[:, 0]) / (draws @ distinct[:, 1]), (0.025, 0.975))
    return Interval(float(low), float(high))

"""Why two numbers differ: the settings, the questions that flipped, and whether chance could have done it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import DataError
from longvideoagent.evaluation.config import differences, gold_told
from longvideoagent.evaluation.evaluate import judge_run
from longvideoagent.evaluation.metrics import Estimate, accuracy
from longvideoagent.evaluation.score import SampleScore
from longvideoagent.views.run_folder import read_config, read_samples

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Flip:
    """A question that one run has right and the other does not."""

    sample: Sample
    gained: bool
    """True where the second run has it right."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the questions that both have finished and whose answers are known."""

    settings: tuple[str, ...]
    """Fields that differ, versions among them, ``name: first -> second``."""
    tells_gold: tuple[str, ...]
    """Each way in which a run hands gold to the agents, with the run's folder."""
    common: int
    first: Estimate | None
    second: Estimate | None
    gain: float
    """The second accuracy less the first, as a share of one."""
    interval: tuple[float, float] | None
    """95 % of the gain over resampled episodes; None where they all gain alike, or there is but one."""
    p: float
    """Exact and two-sided: how likely the gain is if the runs were swapped by chance, episode by episode."""
    p_mcnemar: float
    """McNemar's exact test, two-sided: the same with questions swapped one by one, as if they were independent."""
    flips: tuple[Flip, ...]


def compare(one: Path, other: Path) -> Comparison:
    """Compare two runs. Raises DataError where they share no question or disagree about what one is."""
    before, now = read_config(one), read_config(other)
    samples, pairs = read_samples(one), _pairs(one, other)
    gains = _gains(pairs)
    flips = [Flip(samples[a.id], b.is_correct) for a, b in pairs if a.is_correct != b.is_correct]
    gained = sum(flip.gained for flip in flips)
    return Comparison(
        settings=tuple(differences(before, now)),
        tells_gold=(*_gold_told(one, before), *_gold_told(other, now)),
        common=len(pairs),
        first=accuracy(a for a, _ in pairs),
        second=accuracy(b for _, b in pairs),
        gain=(2 * gained - len(flips)) / len(pairs),
        interval=bootstrap(gains),
        p=sign_flip(gain for gain, _ in gains),
        p_mcnemar=mcnemar(gained, len(flips) - gained),
        flips=tuple(flips),
    )


def _gold_told(run: Path, config: dict[str, Any]) -> Iterable[str]:
    told = gold_told(config["first_clip"], boxes=config["boxes"], agents=config["settings"]["agents"])
    return (f"{run}: {each}" for each in told)


def _pairs(one: Path, other: Path) -> list[tuple[SampleScore, SampleScore]]:
    """The questions with a known answer that both runs have finished."""
    samples, others = read_samples(one), read_samples(other)
    first, second = ({each.id: each for each in judge_run(path) if each.is_known} for path in (one, other))
    common = [name for name in first if name in second]
    if not common:
        raise DataError(f"{one} and {other} share no finished question; compare runs of one data set")
    for name in common:
        if samples[name].question != others[name].question:
            raise DataError(f"{one} and {other} ask question {name} in other words; compare runs of one data set")
        if samples[name].gold.option_index != others[name].gold.option_index:
            raise DataError(f"{one} and {other} disagree about the right answer of question {name}; check the data")
    return [(first[name], second[name]) for name in common]


def _gains(pairs: Iterable[tuple[SampleScore, SampleScore]]) -> list[tuple[int, int]]:
    """Of each episode, how many more questions the second run has right, and how many there are."""
    sums: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one, other in pairs:
        gain, count = sums[one.video]
        sums[one.video] = gain + other.is_correct - one.is_correct, count + 1
    return list(sums.values())


def sign_flip(gains: Iterable[int]) -> float:
    """Two-sided exact p of gains, by episode, whose signs are left to a fair coin each: the share of all outcomes
    that lie at least as far from nothing. With one question an episode it is McNemar's test."""
    moved = [gain for gain in gains if gain]
    reach = sum(map(abs, moved))
    chances = np.zeros(2 * reach + 1)  # of each sum from -reach to reach
    chances[reach] = 1
    for gain in moved:
        chances = (np.roll(chances, gain) + np.roll(chances, -gain)) / 2
    far = np.abs(np.arange(-reach, reach + 1)) >= abs(sum(moved))
    return min(1.0, float(chances[far].sum()))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p of a fair coin that falls so unevenly."""
    flips, fewer = gained + lost, min(gained, lost)
    steps = np.arange(flips, flips - fewer, -1) / np.arange(1, fewer + 1)  # from each binomial coefficient to the next
    logs = np.concatenate([[0.0], np.cumsum(np.log(steps))])
    return min(1.0, math.exp(np.logaddexp.reduce(logs) + (1 - flips) * math.log(2)))


def bootstrap(
    gains: Sequence[tuple[int, int]], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """The middle 95 % of the gain when episodes, each told as gain and questions, are drawn with replacement. None
    where all gain alike: what does not vary here may still vary elsewhere."""
    if len({gain / count for gain, count in gains}) == 1:
        return None
    alike, counts = np.unique(gains, axis=0, return_counts=True)  # however many episodes, few differ in this
    drawn = np.random.default_rng(seed).multinomial(len(gains), counts / len(gains), resamples)
    low, high = np.quantile((drawn @ alike[:, 0]) / (drawn @ alike[:, 1]), (0.025, 0.975))
    return float(low), float(high)

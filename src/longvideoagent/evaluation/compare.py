"""Why two numbers differ: the settings, the questions that flipped, and whether chance could have done it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import DataError
from longvideoagent.evaluation.config import differences
from longvideoagent.evaluation.evaluate import judge_run
from longvideoagent.evaluation.judge import Judged
from longvideoagent.evaluation.metrics import Estimate, accuracy
from longvideoagent.evaluation.store import read_config, read_samples

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
    """Fields that differ, ``name: first -> second``."""
    common: int
    first: Estimate | None
    second: Estimate | None
    gain: float
    """The second accuracy less the first, as a share of one."""
    interval: tuple[float, float]
    """95 % of the gain over resampled episodes."""
    p: float
    """Exact McNemar test, two-sided: how likely chance alone splits the flips so unevenly."""
    flips: tuple[Flip, ...]


def compare(one: Path, other: Path) -> Comparison:
    """Compare two runs. Raises DataError where they share no question or disagree about a right answer."""
    changed = differences(read_config(one), read_config(other))
    samples, others = read_samples(one), read_samples(other)
    first, second = ({each.id: each for each in judge_run(path) if each.is_known} for path in (one, other))
    common = [name for name in first if name in second and samples[name].question == others[name].question]
    if not common:
        raise DataError(f"{one} and {other} share no finished question; compare runs of one data set")
    unlike = [name for name in common if samples[name].gold.option_index != others[name].gold.option_index]
    if unlike:
        raise DataError(f"{one} and {other} disagree about the right answer of question {unlike[0]}; check the data")
    pairs = [(first[name], second[name]) for name in common]
    flips = [Flip(samples[a.id], b.is_correct) for a, b in pairs if a.is_correct != b.is_correct]
    gained = sum(flip.gained for flip in flips)
    return Comparison(
        settings=tuple(changed),
        common=len(common),
        first=accuracy(a for a, _ in pairs),
        second=accuracy(b for _, b in pairs),
        gain=(2 * gained - len(flips)) / len(common),
        interval=bootstrap(pairs),
        p=mcnemar(gained, len(flips) - gained),
        flips=tuple(flips),
    )


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p of a fair coin that falls so unevenly."""
    flips, fewer = gained + lost, min(gained, lost)
    tail = sum(math.comb(flips, heads) for heads in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**flips))


def bootstrap(pairs: Sequence[tuple[Judged, Judged]], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """The middle 95 % of the difference in accuracy when episodes are drawn with replacement, each with all of
    its questions."""
    sums: Mapping[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one, other in pairs:
        sums[one.video][0] += other.is_correct - one.is_correct
        sums[one.video][1] += 1
    table = np.array(list(sums.values()))
    drawn = np.random.default_rng(seed).multinomial(len(table), np.full(len(table), 1 / len(table)), resamples)
    differences_ = (drawn @ table[:, 0]) / (drawn @ table[:, 1])
    low, high = np.quantile(differences_, (0.025, 0.975))
    return float(low), float(high)

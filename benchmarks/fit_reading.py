"""Fit the weights by which the offline master reads subtitles, and report accuracy cross-validated by episode.

    python benchmarks/fit_reading.py FOLDER [FOLDER ...] [--write]

Each FOLDER is a data set in the layout of LongTVQA+; synthetic episodes are added. Each question is asked of the
subtitles as they are, without the names of speakers, cut into short cues and joined into long ones, so that the weights
suit subtitles of several kinds; and of what search locates, for the weights of excerpts. The model is a
multinomial logistic regression on standardized features with an L2 penalty. A second penalty keeps the model from
preferring long or short options: asked with the options of another question, the length of what it chooses must be that
of all options. Folds are made of whole episodes; seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.grounding import locate
from longvideoagent.agents.offline.likelihood import distinctive_terms
from longvideoagent.agents.offline.master import decide, known_facts
from longvideoagent.agents.offline.option_features import FEATURES, option_features
from longvideoagent.agents.offline.option_reader import WEIGHTS_FILE
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.core.types import Clip, Evidence, Question, Timeline
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.synthetic.episode import write_questions
from longvideoagent.datasets.synthetic.scenario import SCENE_S, generate_scenes
from longvideoagent.index.speakers import split_speaker

NUM_FOLDS = 10
NUM_SEEDS = 3
L2 = 1.0
LENGTH_PENALTY = 100.0
SOLE_SUPPORT_WEIGHT = 6.0
"""Not fitted: no real questions with frames are read here, and synthetic episodes suit the offline team."""
SHORT_CUE_WORDS = 7
LONG_CUE_LINES = 3
SYNTHETIC_SEEDS = range(1, 41)
MINUTES = 20
FITTED = [name for name in FEATURES if name != "sole_support"]

Array = NDArray[np.float64]


class Case(NamedTuple):
    """A question with the lines that it is asked of."""

    source: str
    episode: str
    question: Question
    gold: int | None
    """None if the options are those of another question."""
    lines: tuple[Evidence, ...]
    is_excerpt: bool


# --- cases ----------------------------------------------------------------------------------------


def cases_of(folder: Path) -> Iterator[Case]:
    """The questions of a data set, of all lines and of excerpts; of other kinds of subtitles every fourth one, and of
    excerpts every second one."""
    data = read_longtvqa(folder)
    rng = random.Random(0)
    samples = sorted((sample for sample in data.samples if sample.gold.option_index is not None), key=_video_of)
    for number, sample in enumerate(samples):
        timeline, question, gold = data.timeline(sample.video), sample.question, sample.gold.option_index
        lines = _lines(timeline)
        other_options = replace(question, options=rng.choice(samples).question.options)
        yield Case("whole", sample.video, question, gold, lines, False)
        if number % 2:
            yield Case("whole", sample.video, other_options, None, lines, False)
        if number % 4 == 0:
            for source, change in KINDS_OF_SUBTITLES.items():
                yield Case(source, sample.video, question, gold, change(lines), False)
        if number % 2 == 0:
            yield Case("located", sample.video, question, gold, _excerpt(timeline, question), True)
        if number % 4 == 0:
            excerpt = _excerpt(timeline, other_options)
            yield Case("located", sample.video, other_options, None, excerpt, True)


def synthetic_cases() -> Iterator[Case]:
    """The questions about dialogue of synthetic episodes; the others need frames."""
    for seed in SYNTHETIC_SEEDS:
        scenes = generate_scenes(seed, MINUTES)
        clips = [
            Clip(f"c{number}", number * SCENE_S, (number + 1) * SCENE_S, tuple(scene.subtitles))
            for number, scene in enumerate(scenes)
        ]
        timeline = Timeline(tuple(clips))
        for sample in write_questions(scenes, timeline, seed, 3):
            if sample.kind == "dialogue":
                question, gold, episode = sample.question, sample.gold.option_index, f"synthetic {seed}"
                yield Case("synthetic", episode, question, gold, _lines(timeline), False)
                yield Case("synthetic", episode, question, gold, _excerpt(timeline, question), True)


def _video_of(sample: Sample) -> str:
    return sample.video


def _lines(timeline: Timeline) -> tuple[Evidence, ...]:
    return tuple(Evidence.from_subtitle(clip, line) for clip in timeline.clips for line in clip.subtitles)


def _excerpt(timeline: Timeline, question: Question) -> tuple[Evidence, ...]:
    """The lines that the offline master knows when it answers: those of the located clips, and quoted passages."""
    rollout = Rollout(question, timeline, RolloutSettings(agents=Agents.GROUNDING))
    while (request := rollout.request) is not None:
        match request:
            case GroundingRequest():
                rollout.receive(locate(request))
            case MasterRequest():
                trace = request.trace
                rollout.receive(decide(trace))
            case _:
                raise AssertionError("without vision and timeline tools there is no other request")
    return tuple(known_facts(trace))


def _without_speakers(lines: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    return tuple(replace(line, text=split_speaker(line.text).words) for line in lines)


def _short_cues(lines: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Without names, and cut into cues of a few words, as most subtitle files are."""
    cues: list[Evidence] = []
    for line in _without_speakers(lines):
        words = line.text.split()
        parts = [words[i : i + SHORT_CUE_WORDS] for i in range(0, len(words), SHORT_CUE_WORDS)] or [[]]
        step_s = (line.end_s - line.start_s) / len(parts)
        starts_s = [line.start_s + number * step_s for number in range(len(parts))]
        cues += [
            replace(line, start_s=at_s, end_s=at_s + step_s, time_s=at_s, text=" ".join(part))
            for at_s, part in zip(starts_s, parts, strict=True)
        ]
    return tuple(cues)


def _long_cues(lines: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Without names, and several lines joined into one, as recognized speech is."""
    plain = _without_speakers(lines)
    groups = [plain[i : i + LONG_CUE_LINES] for i in range(0, len(plain), LONG_CUE_LINES)]
    return tuple(
        replace(group[0], end_s=group[-1].end_s, text=" ".join(line.text for line in group)) for group in groups
    )


KINDS_OF_SUBTITLES: dict[str, Callable[[tuple[Evidence, ...]], tuple[Evidence, ...]]] = {
    "without speakers": _without_speakers,
    "short cues": _short_cues,
    "long cues": _long_cues,
}


# --- features -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """Features of the options of many questions that have equally many options."""

    features: Array
    """Questions x options x fitted features; in each question, less the mean over its options."""
    lengths: Array
    """Terms of each option that the question and the other options do not all have."""
    gold: NDArray[np.int64]
    """-1 for the options of another question."""
    sources: NDArray[np.str_]
    episodes: NDArray[np.str_]
    offsets: Array
    """What the features with a fixed weight add to the score of each option."""
    before: Array
    """The rule that these weights replaced: the support of the best fact, and half of the likelihood above chance."""

    def rows(self, mask: NDArray[np.bool_]) -> Table:
        """Only the questions of a mask."""
        return Table(
            self.features[mask],
            self.lengths[mask],
            self.gold[mask],
            self.sources[mask],
            self.episodes[mask],
            self.offsets[mask],
            self.before[mask],
        )


def table_of(cases: Sequence[Case]) -> Table:
    """Compute the features of each case."""
    features, lengths, offsets, before = [], [], [], []
    for case in track(cases, "features"):
        scorer = EvidenceScorer(case.question, case.lines, case.is_excerpt)
        columns = option_features(scorer)
        features.append(columns[:, [FEATURES.index(name) for name in FITTED]])
        lengths.append([len(own) for own in distinctive_terms(case.question)])
        by_name = dict(zip(FEATURES, columns.T, strict=True))
        offsets.append(SOLE_SUPPORT_WEIGHT * by_name["sole_support"])
        support, likelihood = by_name["support"], np.exp(by_name["likelihood"])
        gain = 0.5 * (support > 0) * np.maximum(0, likelihood - 1 / len(support))
        before.append(support + gain + by_name["sole_support"])
    stacked = np.array(features)
    return Table(
        stacked - stacked.mean(axis=1, keepdims=True),
        np.array(lengths, dtype=np.float64),
        np.array([-1 if case.gold is None else case.gold for case in cases]),
        np.array([case.source for case in cases]),
        np.array([case.episode for case in cases]),
        np.array(offsets),
        np.array(before),
    )


# --- fit ------------------------------------------------------------------------------------------


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def fit(table: Table) -> Array:
    """The weights, in the units of the features, by Newton's method."""
    real, other = table.rows(table.gold >= 0), table.rows(table.gold < 0)
    spread = real.features.std(axis=(0, 1))
    spread[spread < 1e-9] = 1.0
    features, other_features = real.features / spread, other.features / spread
    lengths = other.lengths - other.lengths.mean(axis=1, keepdims=True)
    lengths = lengths / max(1e-9, lengths.std())
    at_gold = features[np.arange(len(features)), real.gold]
    count = features.shape[2]
    weights = np.zeros(count)
    for _ in range(100):
        p = _softmax(features @ weights)
        mean = np.einsum("qo,qof->qf", p, features)
        gradient = (at_gold - mean).sum(axis=0) - L2 * weights
        curvature = np.einsum("qo,qof,qog->fg", p, features, features) - mean.T @ mean + L2 * np.eye(count)
        if len(other_features):
            q = _softmax(other_features @ weights)
            bias = (q * lengths).sum(axis=1).mean()
            other_mean = np.einsum("qo,qof->qf", q, other_features)
            slope = np.einsum("qo,qof->qf", q * lengths, other_features - other_mean[:, None]).mean(axis=0)
            gradient -= 2 * LENGTH_PENALTY * len(features) * bias * slope
            curvature += 2 * LENGTH_PENALTY * len(features) * np.outer(slope, slope)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-7:
            break
    result: Array = weights / spread
    return result


def folds_of(episodes: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """A fold for each question, the same for all questions of an episode."""
    names = np.unique(episodes)
    fold = dict(zip(np.random.default_rng(seed).permutation(names), np.arange(len(names)) % NUM_FOLDS, strict=True))
    return np.array([fold[episode] for episode in episodes])


def cross_validate(table: Table, seed: int) -> Array:
    """The probabilities of each question's options, by weights that were fitted without its episode."""
    folds = folds_of(table.episodes, seed)
    result = np.zeros(table.lengths.shape)
    for fold in range(NUM_FOLDS):
        weights = fit(table.rows(folds != fold))
        left_out = table.rows(folds == fold)
        result[folds == fold] = _softmax(left_out.features @ weights + left_out.offsets)
    return result


# --- report ---------------------------------------------------------------------------------------


def correct(scores: Array, gold: NDArray[np.int64]) -> Array:
    """1 for each question whose best option is correct; a fraction of it where several are equally good."""
    best = np.isclose(scores, scores.max(axis=1, keepdims=True), atol=1e-9)
    result: Array = best[np.arange(len(gold)), gold] / best.sum(axis=1)
    return result


def half_width(values: Array, episodes: NDArray[np.str_]) -> float:
    """Half of the 95 % interval of a mean, clustered by episode."""
    sums = np.array([(values - values.mean())[episodes == episode].sum() for episode in np.unique(episodes)])
    return float(1.96 * np.sqrt((sums**2).sum()) / len(values))


def calibration_error(probabilities: Array, is_correct: Array) -> float:
    """Expected calibration error of the best option's probability, over ten bins."""
    confidence = probabilities.max(axis=1)
    bins = np.minimum(9, (confidence * 10).astype(int))
    gaps = [abs((confidence - is_correct)[bins == each].sum()) for each in range(10)]
    return float(sum(gaps) / len(confidence))


def length_bias(probabilities: Array, lengths: Array) -> tuple[float, float]:
    """How much more often than by chance the longest and the shortest of another question's options are chosen."""
    best = np.isclose(probabilities, probabilities.max(axis=1, keepdims=True), atol=1e-9)
    result = []
    for extreme in (lengths.max(axis=1, keepdims=True), lengths.min(axis=1, keepdims=True)):
        is_extreme = lengths == extreme
        result.append(float(((best & is_extreme).sum(axis=1) / best.sum(axis=1) - is_extreme.mean(axis=1)).mean()))
    return result[0], result[1]


def report(table: Table, name: str) -> None:
    """Cross-validated accuracy of each source, before and after, and the spread over the folds."""
    runs = [cross_validate(table, seed) for seed in range(NUM_SEEDS)]
    for source in dict.fromkeys(table.sources.tolist()):
        mask = (table.sources == source) & (table.gold >= 0)
        part = table.rows(mask)
        before = correct(part.before, part.gold)
        after = np.mean([correct(run[mask], part.gold) for run in runs], axis=0)
        folds = folds_of(table.episodes, 0)[mask]
        by_fold = [correct(runs[0][mask], part.gold)[folds == fold].mean() for fold in np.unique(folds)]
        error = np.mean([calibration_error(run[mask], correct(run[mask], part.gold)) for run in runs])
        print(
            f"| {name}: {source} | {len(part.gold)} | {100 * before.mean():.1f} | {100 * after.mean():.1f} ± "
            f"{100 * half_width(after, part.episodes):.1f} | {100 * half_width(after - before, part.episodes):.1f} | "
            f"{100 * min(by_fold):.0f} to {100 * max(by_fold):.0f} | {100 * error:.1f} |"
        )
    other = table.gold < 0
    if other.any():
        long, short = length_bias(runs[0][other], table.lengths[other])
        print(f"\n{name}: another question's options: longest {100 * long:+.1f}, shortest {100 * short:+.1f} points\n")


def main() -> None:
    """Parse, compute, report, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help=f"write the weights to {WEIGHTS_FILE.name}")
    chosen = parser.parse_args()
    cases = [case for folder in chosen.folders for case in cases_of(folder)] + list(synthetic_cases())
    counts = [len(case.question.options) for case in cases]
    num_options = max(set(counts), key=counts.count)
    kept = [case for case, count in zip(cases, counts, strict=True) if count == num_options]
    if len(kept) < len(cases):
        print(f"{len(cases) - len(kept)} of {len(cases)} cases do not have {num_options} options; they are left out")
    weights = {}
    for name, is_excerpt in (("whole", False), ("excerpt", True)):
        table = table_of([case for case in kept if case.is_excerpt is is_excerpt])
        print("\n| source | questions | before | after | ± of the gain | folds | calibration error |")
        print("|---" * 7 + "|")
        report(table, name)
        fitted = fit(table)
        spread = table.rows(table.gold >= 0).features.std(axis=(0, 1))
        print("| feature | weight | in standard deviations |\n|---|---|---|")
        for feature, weight, unit in zip(FITTED, fitted, spread, strict=True):
            print(f"| {feature} | {weight:.3f} | {weight * unit:.2f} |")
        rounded = dict(zip(FITTED, (round(float(weight), 4) for weight in fitted), strict=True))
        weights[name] = rounded | {"sole_support": SOLE_SUPPORT_WEIGHT}
    if chosen.write:
        WEIGHTS_FILE.write_text(json.dumps(weights, indent=1) + "\n")


if __name__ == "__main__":
    main()

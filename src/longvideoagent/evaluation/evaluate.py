"""One evaluation from its configuration to its summary: start or resume the run, ask, score, write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.agents.build import load_team
from longvideoagent.agents.cost import (
    TOTAL,
    CostForecast,
    check_prices,
    forecast_cost,
    sum_forecasts,
    tokens_per_image,
    usd_of,
)
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Usage
from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import DataError, UsageError, as_data_error
from longvideoagent.evaluation.config import EvalConfig, EvalData, load_samples, resolve, scoring_of
from longvideoagent.evaluation.metrics import summarize
from longvideoagent.evaluation.overrides import MAX_BASELINE_FRAMES, EvalOverrides
from longvideoagent.evaluation.ray import ShardContext, ask_on_ray
from longvideoagent.evaluation.runner import RUN_RETRY_POLICY, RunLimits, Runner
from longvideoagent.evaluation.score import SampleScore, score_sample
from longvideoagent.evaluation.store import RunWriter, check_run, open_run
from longvideoagent.fs import atomic_write_text
from longvideoagent.views.run_folder import CONFIG, SUMMARY, read_config, read_samples, read_traces

OnProgress = Callable[[Collection[SampleScore], int], None]
"""Called with all scores so far and the number of questions, at the start and after each question."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is carried out; none of it changes the numbers."""

    limits: RunLimits = field(default_factory=RunLimits)
    cache_file: Path | None = None
    """Where replies of models are cached."""
    retry_failed: bool = False
    """Ask only the questions that failed, again."""
    ray: str | None = None
    """The address of a Ray cluster to ask on, or ``auto``."""
    on_warning: Callable[[str], None] = lambda _: None
    """Called with each warning before any question is asked."""
    on_interrupt: Callable[[], None] | None = None
    """Called after Ctrl-C, when all finished questions are on the disk. It may end the process, which would otherwise
    wait for threads of offline agents."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of a run."""

    summary: dict[str, Any]
    stop_cause: str
    """Why it stopped early; empty if it did not."""
    num_problems: int = 0
    """Problems in the records and files of the data set, in used and unused ones."""
    wording_warnings: tuple[str, ...] = ()
    """To be shown next to every number."""


def run_evaluation(
    config: EvalConfig,
    path: Path,
    options: RunOptions,
    on_progress: OnProgress,
    loaded: EvalData | None = None,
) -> RunResult:
    """Start a run in the folder ``path``, or resume it, and write its summary. Questions that the folder holds are not
    asked again. ``loaded`` is the result of ``load_samples``, if it was called before. Raises UsageError or DataError
    for a run that cannot start, and KeyboardInterrupt on Ctrl-C, with all finished questions on the disk."""
    check_prices(config.team_config, options.limits.max_run_usd, "--max-run-usd")
    data, samples = loaded or load_samples(config)
    if options.retry_failed:
        _check_retry(config, path, len(samples))
    overrides = EvalOverrides.from_config(config, data, samples)
    team = load_team(config.team_config, options.cache_file, retry_policy=RUN_RETRY_POLICY)
    with open_run(path, partial(resolve, config, data), samples) as run:
        scores = {score.id: score for score in score_run(path)}
        pending = [sample for sample in samples if _is_pending(scores.get(sample.question.id), options.retry_failed)]

        def on_finish(sample: Sample, trace: Trace) -> None:
            scores[sample.question.id] = score_sample(sample, trace, config.protocol.scoring)
            on_progress(scores.values(), len(samples))

        async def ask_here() -> str:
            try:
                return await Runner(overrides, team, run, options.limits, on_finish).ask(pending)
            except asyncio.CancelledError:
                _close_interrupted(run, options)
                raise

        for warning in overrides.warnings if pending else ():
            options.on_warning(warning)
        on_progress(scores.values(), len(samples))
        stop_cause = ""
        if pending and options.ray is not None:
            try:
                context = ShardContext(config, options.limits, options.cache_file)
                stop_cause = ask_on_ray(options.ray, pending, context, run, on_finish)
            except KeyboardInterrupt:
                _close_interrupted(run, options)
                raise
        elif pending:
            stop_cause = asyncio.run(ask_here())
        finished = [scores[sample.question.id] for sample in samples if sample.question.id in scores]
        summary = write_summary(path, finished, len(samples))
        return RunResult(summary, stop_cause, len(data.problems), overrides.wording_warnings)


def _check_retry(config: EvalConfig, path: Path, num_samples: int) -> None:
    """Refuse to retry without a run, and in a run of other questions, since new ones would not be asked."""
    if not (path / CONFIG).exists():
        raise UsageError(f"--retry-failed: {path} does not hold a run; leave it out to start one")
    known = read_config(path)["num_questions"]
    if num_samples > known or (config.limit or known) < known:
        raise UsageError(f"--retry-failed: {path} is a run of {known} questions; give --limit {known}")


def _close_interrupted(run: RunWriter, options: RunOptions) -> None:
    run.close()
    if options.on_interrupt is not None:
        options.on_interrupt()


def _is_pending(score: SampleScore | None, retry_failed: bool) -> bool:
    if score is None:
        return not retry_failed
    return retry_failed and score.outcome is Outcome.FAILED


def score_run(path: Path) -> list[SampleScore]:
    """The score of each finished question of a run, in the order of its questions. Holds one trace at a time."""
    samples, scoring = read_samples(path), scoring_of(read_config(path))
    scores = {
        trace.question.id: score_sample(samples[trace.question.id], trace, scoring) for trace in read_traces(path)
    }
    return [scores[name] for name in samples if name in scores]


def write_summary(path: Path, scores: Collection[SampleScore], total: int) -> dict[str, Any]:
    """Compute the metrics of a run of ``total`` questions and write its summary.json."""
    summary = summarize(list(scores), total)
    atomic_write_text(path / SUMMARY, json.dumps(summary, indent=1) + "\n")
    return summary


class RunForecast(NamedTuple):
    """The most that a run may use."""

    num_questions: int
    max_rounds: int
    by_agent: tuple[CostForecast, ...]
    """The last one is the total."""
    warnings: tuple[str, ...] = ()
    """Those that the run prints before any question is asked."""
    num_problems: int = 0
    """Problems in the records and files of the data set, in used and unused ones."""


def forecast_run(config: EvalConfig, loaded: EvalData | None = None, path: Path | None = None) -> RunForecast:
    """The upper bound of a whole run's usage, by agent and in all, without asking anything. ``loaded`` is the result of
    ``load_samples``, if it was called before. ``path`` is the folder of the run, which is checked and not written.
    Raises UsageError or DataError as ``run_evaluation`` does."""
    data, samples = loaded or load_samples(config)
    if path is not None:
        check_run(path, partial(resolve, config, data), samples)
    overrides = EvalOverrides.from_config(config, data, samples)
    # Otherwise the files would be read for each question.
    team_config = config.team_config.model_copy(
        update={"layout": overrides.layout, "layout_file": None, "prompt_file": None}
    )
    totals: list[CostForecast] = []
    unreadable: list[DataError] = []
    for sample in samples:
        try:
            with as_data_error(f"{data.folder}: {sample.video}"):
                video = data.open_video(sample.video)
        except DataError as error:
            unreadable.append(error)
            continue
        bounds = forecast_cost(sample.question, video, team_config, config.settings)
        totals = [sum_forecasts(pair) for pair in zip(totals, bounds, strict=True)] if totals else list(bounds)
    if not totals:
        raise unreadable[0]
    warnings = overrides.warnings
    if unreadable:
        warnings += (f"{len(unreadable)} of {len(samples)} questions would fail and are not counted; {unreadable[0]}",)
    if config.baseline == "subtitles+frames":
        images = len(samples) * MAX_BASELINE_FRAMES
        master = team_config.master
        usage = Usage(prompt_tokens=images * tokens_per_image(master, team_config), images=images)
        frames = CostForecast("", "", usage, usd_of(master, usage, team_config))
        totals = [sum_forecasts((row, frames)) if row.agent in ("master", TOTAL) else row for row in totals]
    num_problems = len(data.problems)
    return RunForecast(len(samples), config.settings.max_rounds, tuple(totals), warnings, num_problems)

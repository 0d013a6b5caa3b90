"""One evaluation from its protocol to its summary: opened, gone on with, asked, measured, written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from longvideoagent.agents.build import load_team
from longvideoagent.agents.cost import TOKENS_PER_PICTURE, TOTAL, CostForecast, check_prices, forecast_cost
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Usage
from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.config import EvalConfig, read_asked, resolve
from longvideoagent.evaluation.metrics import summarize
from longvideoagent.evaluation.overrides import BASELINE_FRAMES, EvalOverrides
from longvideoagent.evaluation.ray import Work, ask_on_ray
from longvideoagent.evaluation.runner import DEFAULT_RETRY_POLICY, RunLimits, Runner
from longvideoagent.evaluation.score import SampleScore, score_sample
from longvideoagent.evaluation.store import RunFolder, open_run
from longvideoagent.fs import atomic_write_text
from longvideoagent.views.run_folder import CONFIG, SUMMARY, read_config, read_samples, read_traces

Watch = Callable[[Collection[SampleScore], int], None]
"""Told all questions judged so far, and how many there are, whenever one is finished."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is carried out; none of it changes the numbers."""

    bounds: RunLimits = field(default_factory=RunLimits)
    cache: Path | None = None
    """Remembered replies."""
    retry_failed: bool = False
    """Ask those that failed again, and nothing else."""
    ray: str | None = None
    """The address of a Ray cluster, or auto, to ask on."""
    warn: Callable[[str], None] = lambda _: None
    """Told what a person should know before anything is asked."""
    on_interrupt: Callable[[], None] | None = None
    """Called when Ctrl-C has been pressed and all that was finished is kept. It may end the process, which
    would otherwise wait for offline agents that are still busy in threads."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    summary: dict[str, Any]
    stopped: str
    """Why it stopped before its end; empty where it did not."""
    problems: int = 0
    """What is wrong with records and files of the data set, whether they could be used or not."""


def run_evaluation(protocol: EvalConfig, path: Path, how: RunOptions, watch: Watch) -> Result:
    """Begin a run in the folder ``path`` or go on with it, and write its summary. Questions that the folder holds
    are not asked again. Raises UsageError or DataError where it cannot be, and KeyboardInterrupt, with all that
    was finished kept, where it is interrupted."""
    check_prices(protocol.team_config, how.bounds.max_usd)
    data, samples = read_asked(protocol)
    if how.retry_failed:
        _check_retry(protocol, path, len(samples))
    switches = EvalOverrides.of(protocol, data, samples)
    team = load_team(protocol.team_config, how.cache, retry_policy=DEFAULT_RETRY_POLICY)
    with open_run(path, partial(resolve, protocol, data), samples) as run:
        judged = {each.id: each for each in judge_run(path)}
        owed = [sample for sample in samples if _is_owed(judged.get(sample.question.id), how.retry_failed)]

        def on_finish(sample: Sample, trace: Trace) -> None:
            judged[sample.question.id] = score_sample(sample, trace)
            watch(judged.values(), len(samples))

        async def ask_here() -> str:
            try:
                return await Runner(switches, team, run, how.bounds, on_finish).ask(owed)
            except asyncio.CancelledError:
                _end(run, how)
                raise

        for told in switches.warnings if owed else ():
            how.warn(told)
        watch(judged.values(), len(samples))
        stopped = ""
        if owed and how.ray is not None:
            try:
                stopped = ask_on_ray(how.ray, owed, Work(protocol, how.bounds, how.cache), run, on_finish)
            except KeyboardInterrupt:
                _end(run, how)
                raise
        elif owed:
            stopped = asyncio.run(ask_here())
        finished = [judged[sample.question.id] for sample in samples if sample.question.id in judged]
        return Result(write_summary(path, finished, len(samples)), stopped, len(data.problems))


def _check_retry(protocol: EvalConfig, path: Path, asked: int) -> None:
    """Refuse to ask again in no run, and in a run of other questions: new ones would not be asked."""
    if not (path / CONFIG).exists():
        raise UsageError(f"--retry failed: {path} holds no run; leave it out to begin one")
    known = read_config(path)["questions"]
    if asked > known or (protocol.limit or known) < known:
        raise UsageError(f"--retry failed: {path} is a run of {known} questions; give --limit {known}")


def _end(run: RunFolder, how: RunOptions) -> None:
    run.close()
    if how.on_interrupt is not None:
        how.on_interrupt()


def _is_owed(judged: SampleScore | None, retry_failed: bool) -> bool:
    if judged is None:
        return not retry_failed
    return retry_failed and judged.outcome is Outcome.FAILED


def judge_run(path: Path) -> list[SampleScore]:
    """Every finished question of a run, judged, in the order of its questions. One trace is held at a time."""
    samples = read_samples(path)
    judged = {trace.question.id: score_sample(samples[trace.question.id], trace) for trace in read_traces(path)}
    return [judged[name] for name in samples if name in judged]


def write_summary(path: Path, judged: Collection[SampleScore], total: int) -> dict[str, Any]:
    """Measure a run of so many questions and write its summary.json."""
    summary = summarize(list(judged), total)
    atomic_write_text(path / SUMMARY, json.dumps(summary, indent=1) + "\n")
    return summary


def forecast_run(protocol: EvalConfig) -> tuple[CostForecast, ...]:
    """The most that a whole run may use, by role and in all; nothing is asked."""
    data, samples = read_asked(protocol)
    EvalOverrides.of(protocol, data, samples)
    totals: list[CostForecast] = []
    for sample in samples:
        told = forecast_cost(sample.question, data.open_video(sample.video), protocol.team_config, protocol.settings)
        totals = [_add(*pair) for pair in zip(totals, told, strict=True)] if totals else list(told)
    if protocol.baseline == "subtitles+frames":
        pictures = len(samples) * BASELINE_FRAMES
        more = Usage(prompt_tokens=pictures * TOKENS_PER_PICTURE, images=pictures)
        totals = [
            _add(each, CostForecast("", "", more, 0.0)) if each.agent in ("master", TOTAL) else each for each in totals
        ]
    return tuple(totals)


def _add(one: CostForecast, other: CostForecast) -> CostForecast:
    usd = None if one.usd is None or other.usd is None else one.usd + other.usd
    return CostForecast(one.agent, one.model, one.max_usage + other.max_usage, usd)

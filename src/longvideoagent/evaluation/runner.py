"""Asks a whole data set: concurrent rollouts in one event loop, each trace stored as soon as it is finished.

Questions are asked video by video, so that a server's prefix cache and the open videos serve the next question of the
same video.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from longvideoagent.agents.base import Team
from longvideoagent.core.outcome import Outcome, StopReason
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open_videos import OpenVideos, order_by_video
from longvideoagent.errors import DataError, LongVideoAgentError, as_data_error
from longvideoagent.evaluation.overrides import EvalOverrides
from longvideoagent.log import logger
from longvideoagent.models.retry import RetryPolicy
from longvideoagent.run import finish

RUN_RETRY_POLICY = RetryPolicy(max_tries=9)
"""For servers during a run: at least a minute, long enough to restart one."""
MAX_FAILURES_IN_A_ROW = 25
"""Consecutive failed questions that stop the run: an agent is down, and the rest is better asked later."""


class TraceSink(Protocol):
    """Where finished traces go."""

    def add(self, trace: Trace) -> None:
        """Store a trace. Raises OSError where it cannot be stored."""


OnFinish = Callable[[Sample, Trace], None]


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Limits of a run."""

    concurrency: int = 16
    """Questions at once."""
    max_run_usd: float | None = None
    """Dollars after which no further question starts."""


class Runner:
    """Asks a team questions, and stores each trace as soon as it is finished."""

    def __init__(
        self, overrides: EvalOverrides, team: Team, sink: TraceSink, limits: RunLimits, on_finish: OnFinish
    ) -> None:
        self._overrides = overrides
        self._team = team
        self._sink = sink
        self._limits = limits
        self._on_finish = on_finish
        self._videos = OpenVideos(overrides.data)
        self._usd = 0.0
        self._failures_in_a_row = 0
        self._stop_cause = ""

    async def ask(self, samples: Sequence[Sample]) -> str:
        """Ask every sample once. Returns why it stopped early, or an empty text. When cancelled, all finished traces
        are stored. Raises OSError where a trace cannot be stored."""
        remaining = iter(order_by_video(samples))
        num_workers = min(self._limits.concurrency, len(samples))
        workers = [asyncio.create_task(self._work(remaining)) for _ in range(num_workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self._team.close()
        return self._stop_cause

    def stop(self, reason: str) -> None:
        """Start no further question; running ones finish. May be called from another thread."""
        self._stop_cause = reason

    async def _work(self, remaining: Iterator[Sample]) -> None:
        for sample in remaining:
            if self._stop_cause:
                return
            trace = await self._ask(sample)
            self._sink.add(trace)
            self._on_finish(sample, trace)
            self._check_limits(trace)

    async def _ask(self, sample: Sample) -> Trace:
        """The finished trace. Whatever a question or its video raises fails only that question, and names the video."""
        settings = self._overrides.config.settings
        trace_so_far = Trace(sample.question, settings)

        async def keep(trace: Trace) -> None:
            nonlocal trace_so_far
            trace_so_far = trace

        try:
            with as_data_error(f"{self._overrides.data.folder}: {sample.video}"):
                video = await self._videos.get(sample.video)
            with as_data_error(video.reader.path):
                team = self._overrides.team_for(sample, video, self._team)
                return await finish(sample.question, video, team, settings, keep)
        except DataError as error:
            logger.info("question %s", sample.question.id, exc_info=True)
            return replace(trace_so_far, stop_reason=StopReason.DATA, cause=f"data: {error}")
        except LongVideoAgentError as error:
            return replace(trace_so_far, stop_reason=StopReason.MODEL, cause=str(error))

    def _check_limits(self, trace: Trace) -> None:
        self._usd += trace.usage.usd
        is_failed = trace.outcome is Outcome.FAILED and trace.stop_reason is not StopReason.DATA
        self._failures_in_a_row = self._failures_in_a_row + 1 if is_failed else 0
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self._stop_cause = f"{self._failures_in_a_row} questions in a row failed, the last with: {trace.cause}"
        if self._limits.max_run_usd is not None and self._usd >= self._limits.max_run_usd:
            self._stop_cause = f"{self._usd:.2f} dollars are spent"

"""Asks a whole data set: many rollouts side by side in one event loop, each kept as soon as it is done.

Questions are asked episode by episode, so that a server's prefix cache and our own open videos serve the
next question of the same episode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from longvideoagent.agents.base import Team
from longvideoagent.core.outcome import StopReason
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open_videos import OpenVideos, order_by_video
from longvideoagent.errors import DataError
from longvideoagent.evaluation.overrides import EvalOverrides
from longvideoagent.models.retry import RetryPolicy
from longvideoagent.run import steps

DEFAULT_RETRY_POLICY = RetryPolicy(max_tries=9)
"""Had with servers in a run: a minute at least, long enough for one to be started anew."""
MOST_FAILURES_IN_A_ROW = 25
"""Questions that may fail one after another before the run stops: by then the agent is down, and what is left
is better asked later."""


class TraceSink(Protocol):
    """Where finished traces go."""

    def add(self, trace: Trace) -> None:
        """Keep it. Raises OSError where that cannot be."""


OnFinish = Callable[[Sample, Trace], None]


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What a run may use."""

    concurrency: int = 16
    max_usd: float | None = None
    """Dollars, after which no further question is begun."""


class Runner:
    """Asks a team the questions it is given, and keeps each trace in the run as soon as it is finished."""

    def __init__(
        self, switches: EvalOverrides, team: Team, run: TraceSink, bounds: RunLimits, on_finish: OnFinish
    ) -> None:
        self._switches = switches
        self._team = team
        self._run = run
        self._bounds = bounds
        self._on_finish = on_finish
        self._episodes = OpenVideos(switches.data)
        self._usd = 0.0
        self._failures_in_a_row = 0
        self._stopped = ""

    async def ask(self, samples: Sequence[Sample]) -> str:
        """Ask every sample once. Returns why it stopped early; empty where it did not. Cancelled, it has kept
        all that was finished. Raises OSError where a trace cannot be kept."""
        left = iter(order_by_video(samples))
        workers = [asyncio.create_task(self._work(left)) for _ in range(min(self._bounds.concurrency, len(samples)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self._team.close()
        return self._stopped

    def stop(self, reason: str) -> None:
        """Begin no further question; those under way come to their end. May be called from another thread."""
        self._stopped = reason

    async def _work(self, left: Iterator[Sample]) -> None:
        for sample in left:
            if self._stopped:
                return
            trace = await self._ask(sample)
            self._run.add(trace)
            self._on_finish(sample, trace)
            self._check(trace)

    async def _ask(self, sample: Sample) -> Trace:
        """The finished trace. A video that cannot be read is a failure of that question alone."""
        settings = self._switches.protocol.settings
        trace = Trace(sample.question, settings)
        try:
            episode = await self._episodes.get(sample.video)
            team = self._switches.team_for(sample, episode, self._team)
            async for trace in steps(sample.question, episode, team, settings):  # noqa: B007
                pass
        except DataError as error:
            return replace(trace, stop_reason=StopReason.DATA, cause=f"data: {error}")
        return trace

    def _check(self, trace: Trace) -> None:
        self._usd += trace.usage.usd
        self._failures_in_a_row = self._failures_in_a_row + 1 if trace.failure is not None else 0
        if self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            self._stopped = f"{self._failures_in_a_row} questions in a row failed, the last with: {trace.cause}"
        if self._bounds.max_usd is not None and self._usd >= self._bounds.max_usd:
            self._stopped = f"{self._usd:.2f} dollars are spent"

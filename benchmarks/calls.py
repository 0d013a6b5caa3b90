"""The overhead of this package's code on model calls, compared with the bare client in the same run.

python benchmarks/calls.py
"""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai

from longvideoagent.agents.base import Team
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import OfflineGrounding, OfflineVision
from longvideoagent.agents.tool_master import ToolMaster
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.core.types import Clip, Message, Question, Subtitle, Timeline
from longvideoagent.media.video import Video
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.retry import AdaptiveLimiter, RetryingModel
from longvideoagent.run import finish
from table import row

LATENCY_MS = 50
NUM_ROLLOUTS, MAX_ROUNDS, CONCURRENCY = 1000, 3, 128
LINES = tuple(Subtitle(float(n), n + 1.0, f"Mira: this is line {n} of the talk") for n in range(60))
TIMELINE = Timeline((Clip("c01", 0.0, 60.0, LINES),))
QUESTION = Question("Who talks?", ("Mira", "Otto"))
MESSAGES = [Message(role="user", content="\n".join(line.text for line in LINES))]


class Timing(NamedTuple):
    """Seconds of wall time and of this process's CPU time."""

    wall_s: float
    cpu_s: float


@contextmanager
def stub(latency_ms: int) -> Iterator[str]:
    """Run the stub server; yields its URL."""
    command = [sys.executable, str(Path(__file__).with_name("stub_server.py")), str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


async def repeat(work: Callable[[], Awaitable[object]], count: int, concurrency: int) -> None:
    """Do the work ``count`` times, ``concurrency`` at once."""
    remaining = iter(range(count))

    async def worker() -> None:
        for _ in remaining:
            await work()

    await asyncio.gather(*(worker() for _ in range(concurrency)))


def bare_client(url: str) -> openai.AsyncOpenAI:
    """The openai client with its faster transport."""
    return openai.AsyncOpenAI(
        api_key="none", base_url=url, max_retries=0, http_client=openai.DefaultAioHttpClient(), timeout=120
    )


def measure_bare(url: str, calls: int, concurrency: int) -> Timing:
    """Calls with the bare client."""

    async def run() -> None:
        client = bare_client(url)
        messages: Any = MESSAGES
        ask = lambda: client.chat.completions.create(model="m", messages=messages, temperature=0.6, max_tokens=9)  # noqa: E731
        await repeat(ask, calls, concurrency)
        await client.close()

    return timed(run)


def measure_ours(url: str, calls: int, concurrency: int) -> Timing:
    """The same calls through the layers between an agent and a server."""

    async def run() -> None:
        model = RetryingModel(OpenAIModel("m", url), limiter=AdaptiveLimiter(concurrency))
        await repeat(lambda: model.complete(MESSAGES), calls, concurrency)
        await model.close()

    return timed(run)


def measure_rollouts(
    url: str, count: int, name: str = "m", agents: Agents = Agents.NONE, *, calls_tools: bool = False
) -> Timing:
    """Whole rollouts of three rounds, by the model of that name."""

    async def run() -> None:
        model = RetryingModel(OpenAIModel(name, url), limiter=AdaptiveLimiter(CONCURRENCY))
        master = ToolMaster(ModelMaster(model), is_required=True) if calls_tools else ModelMaster(model)
        team = Team("bench", master, OfflineGrounding(), OfflineVision(), (model,))
        episode = Video(None, TIMELINE, "")  # type: ignore[arg-type]  # vision is not used
        settings = RolloutSettings(MAX_ROUNDS, agents=agents)

        async def one() -> None:
            trace = await finish(QUESTION, episode, team, settings)
            assert (trace.outcome, len(trace.rounds)) == (Outcome.ANSWERED, MAX_ROUNDS)

        await repeat(one, count, CONCURRENCY)
        await team.close()

    return timed(run)


def timed(run: Callable[[], Any]) -> Timing:
    """Time one run of the coroutine function."""
    started_s, cpu_s = time.perf_counter(), time.process_time()
    asyncio.run(run())
    return Timing(time.perf_counter() - started_s, time.process_time() - cpu_s)


def call_overhead(url: str, pairs: int = 5, calls: int = 1500) -> str:
    """CPU milliseconds per call more than the bare client, at 64 in flight."""
    measure_bare(url, 200, 64), measure_ours(url, 200, 64)
    timed_pairs = [(measure_ours(url, calls, 64).cpu_s, measure_bare(url, calls, 64).cpu_s) for _ in range(pairs)]
    ours_ms, bare_ms = (1000 * statistics.median(column) / calls for column in zip(*timed_pairs, strict=True))
    overhead_ms = statistics.median(1000 * (ours - bare) / calls for ours, bare in timed_pairs)
    return f"{overhead_ms:.2f} CPU-ms ({ours_ms:.2f} / {bare_ms:.2f})"


def rollouts_against_bound(url: str, pairs: int = 3) -> str:
    """Time of the rollouts relative to the larger of the latency bound and the bare client's CPU bound."""
    calls = NUM_ROLLOUTS * MAX_ROUNDS
    latency_s = calls * LATENCY_MS / 1000 / CONCURRENCY
    measured = [
        (measure_rollouts(url, NUM_ROLLOUTS).wall_s, measure_bare(url, calls, CONCURRENCY).cpu_s) for _ in range(pairs)
    ]
    ratios = [ours_s / max(latency_s, cpu_s) for ours_s, cpu_s in measured]
    ours_s, cpu_s = (statistics.median(column) for column in zip(*measured, strict=True))
    return f"{statistics.median(ratios):.2f}x ({ours_s:.1f} s / max({latency_s:.1f} s latency, {cpu_s:.1f} s CPU))"


def tools_against_tags(url: str, pairs: int = 5, count: int = 300) -> str:
    """CPU time of rollouts by tool calls relative to the same rollouts by tags."""

    def cpu_s(*, calls_tools: bool) -> float:
        return measure_rollouts(url, count, "caller", Agents.GROUNDING, calls_tools=calls_tools).cpu_s

    cpu_s(calls_tools=True), cpu_s(calls_tools=False)
    measured = [(cpu_s(calls_tools=True), cpu_s(calls_tools=False)) for _ in range(pairs)]
    tools_ms, tags_ms = (1000 * statistics.median(column) / count for column in zip(*measured, strict=True))
    ratio = statistics.median(tools_s / tags_s for tools_s, tags_s in measured)
    return f"{ratio:.2f}x ({tools_ms:.1f} / {tags_ms:.1f} CPU-ms a rollout)"


def memory_growth(url: str) -> str:
    """Growth of the peak resident set over three more rounds of rollouts."""
    measure_rollouts(url, NUM_ROLLOUTS)
    gc.collect()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        measure_rollouts(url, NUM_ROLLOUTS)
    after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{(after_kb - before_kb) / 1024:.1f} MB on {before_kb / 1024:.0f} MB"


def measure() -> Iterator[tuple[str, str, str]]:
    """Rows of the table: what is measured, the figure, the target."""
    with stub(LATENCY_MS) as url:
        yield "overhead of a call over the bare client, 64 in flight", call_overhead(url), "≤ 0.5 CPU-ms"
        what = f"{NUM_ROLLOUTS:,} rollouts of {MAX_ROUNDS} rounds, {LATENCY_MS} ms latency, {CONCURRENCY} in flight"
        yield f"{what}, against the larger bound", rollouts_against_bound(url), "≤ 1.5x"
        yield f"rollouts of {MAX_ROUNDS} rounds by tool calls, against tags", tools_against_tags(url), "≤ 1.1x"
        yield f"memory that {3 * NUM_ROLLOUTS:,} more rollouts add", memory_growth(url), "flat"


if __name__ == "__main__":
    for each in measure():
        row(*each)

"""What our own code adds to calls of models, against the bare client, in one run.

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
from typing import Any

import openai

from longvideoagent.agents.base import Team
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import OfflineGrounding, OfflineVision
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.core.types import Clip, Message, Question, Subtitle, Timeline
from longvideoagent.media.video import Video
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.retry import AdaptiveLimiter, RetryingModel
from longvideoagent.run import steps
from table import row

LATENCY_MS = 50
ROLLOUTS, ROUNDS, AT_ONCE = 1000, 3, 128
LINES = tuple(Subtitle(float(n), n + 1.0, f"Mira: this is line {n} of the talk") for n in range(60))
TIMELINE = Timeline((Clip("c01", 0.0, 60.0, LINES),))
QUESTION = Question("Who talks?", ("Mira", "Otto"))
MESSAGES = [Message(role="user", content="\n".join(line.text for line in LINES))]


@contextmanager
def stub(latency_ms: int) -> Iterator[str]:
    """The server's address."""
    command = [sys.executable, str(Path(__file__).with_name("stub_server.py")), str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


async def at_once(work: Callable[[], Awaitable[object]], count: int, most: int) -> None:
    """Do it that many times, so many at once."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await work()

    await asyncio.gather(*(worker() for _ in range(most)))


def bare_client(url: str) -> openai.AsyncOpenAI:
    """The client as its makers give it, with its quicker transport."""
    return openai.AsyncOpenAI(
        api_key="none", base_url=url, max_retries=0, http_client=openai.DefaultAioHttpClient(), timeout=120
    )


def measure_bare(url: str, calls: int, most: int) -> tuple[float, float]:
    """Seconds and CPU seconds of bare calls."""

    async def run() -> None:
        client = bare_client(url)
        messages: Any = MESSAGES
        ask = lambda: client.chat.completions.create(model="m", messages=messages, temperature=0.6, max_tokens=9)  # noqa: E731
        await at_once(ask, calls, most)
        await client.close()

    return timed(run)


def measure_ours(url: str, calls: int, most: int) -> tuple[float, float]:
    """The same through what stands between an agent and a server."""

    async def run() -> None:
        model = RetryingModel(OpenAIModel("m", url), limiter=AdaptiveLimiter(most))
        await at_once(lambda: model.complete(MESSAGES), calls, most)
        await model.close()

    return timed(run)


def measure_rollouts(url: str, count: int) -> tuple[float, float]:
    """Whole rollouts of three rounds."""

    async def run() -> None:
        model = RetryingModel(OpenAIModel("m", url), limiter=AdaptiveLimiter(AT_ONCE))
        team = Team("bench", ModelMaster(model), OfflineGrounding(), OfflineVision(), (model,))
        episode = Video(None, TIMELINE, "")  # type: ignore[arg-type]  # nobody looks
        settings = RolloutSettings(ROUNDS, agents=Agents.NONE)

        async def one() -> None:
            last = [trace async for trace in steps(QUESTION, episode, team, settings)][-1]
            assert (last.outcome, len(last.rounds)) == (Outcome.ANSWERED, ROUNDS)

        await at_once(one, count, AT_ONCE)
        await team.close()

    return timed(run)


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the wall and of this process's CPU."""
    started_s, cpu_s = time.perf_counter(), time.process_time()
    asyncio.run(run())
    return time.perf_counter() - started_s, time.process_time() - cpu_s


def call_overhead(url: str, pairs: int = 5, calls: int = 1500) -> str:
    """CPU milliseconds a call beyond the bare client, at 64 in flight."""
    measure_bare(url, 200, 64), measure_ours(url, 200, 64)
    timed_pairs = [(measure_ours(url, calls, 64)[1], measure_bare(url, calls, 64)[1]) for _ in range(pairs)]
    ours_ms, bare_ms = (1000 * statistics.median(column) / calls for column in zip(*timed_pairs, strict=True))
    more_ms = statistics.median(1000 * (ours - bare) / calls for ours, bare in timed_pairs)
    return f"{more_ms:.2f} CPU-ms ({ours_ms:.2f} / {bare_ms:.2f})"


def rollouts_against_bound(url: str, pairs: int = 3) -> str:
    """Time of the rollouts over the larger of the latency bound and the bare client's CPU bound."""
    calls = ROLLOUTS * ROUNDS
    latency_s = calls * LATENCY_MS / 1000 / AT_ONCE
    measured = [(measure_rollouts(url, ROLLOUTS)[0], measure_bare(url, calls, AT_ONCE)[1]) for _ in range(pairs)]
    ratios = [ours_s / max(latency_s, cpu_s) for ours_s, cpu_s in measured]
    ours_s, cpu_s = (statistics.median(column) for column in zip(*measured, strict=True))
    return f"{statistics.median(ratios):.2f}x ({ours_s:.1f} s / max({latency_s:.1f} s latency, {cpu_s:.1f} s CPU))"


def memory_growth(url: str) -> str:
    """Growth of the largest resident set over as many rollouts again and again."""
    measure_rollouts(url, ROLLOUTS)
    gc.collect()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        measure_rollouts(url, ROLLOUTS)
    after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{(after_kb - before_kb) / 1024:.1f} MB on {before_kb / 1024:.0f} MB"


def measure() -> Iterator[tuple[str, str, str]]:
    """Rows of the table: what, figure, aim."""
    with stub(LATENCY_MS) as url:
        yield "what a call costs beyond the bare client, 64 in flight", call_overhead(url), "≤ 0.5 CPU-ms"
        what = f"{ROLLOUTS:,} rollouts of {ROUNDS} rounds, {LATENCY_MS} ms latency, {AT_ONCE} in flight"
        yield f"{what}, against the larger bound", rollouts_against_bound(url), "≤ 1.5x"
        yield f"memory that {3 * ROLLOUTS:,} more rollouts add", memory_growth(url), "flat"


if __name__ == "__main__":
    for each in measure():
        row(*each)

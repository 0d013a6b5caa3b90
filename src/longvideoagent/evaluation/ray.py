"""A run on a Ray cluster: shards of videos as tasks, each with the same runner; one run folder at the driver.

Every finished trace is sent to the driver at once and stored there, so a worker that dies loses only its running
questions: its shard is submitted again without the finished ones. When the run stops, no worker starts another
question, and running ones finish. The data set and the files that a team names must be at the same path on every node.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlsplit

from longvideoagent.agents.build import load_team
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.errors import DataError, LongVideoAgentError, ModelError, UsageError, one_line, require_extra
from longvideoagent.evaluation.config import EvalConfig, load_samples
from longvideoagent.evaluation.overrides import EvalOverrides
from longvideoagent.evaluation.runner import RUN_RETRY_POLICY, OnFinish, RunLimits, Runner
from longvideoagent.evaluation.store import RunWriter

SHARDS_PER_CPU = 4
"""Small shards, so that the last one does not run alone for long."""
CONNECT_TIMEOUT_S = 5.0
MAX_TRIES = 5
"""Workers that may die on one shard."""


@dataclass(frozen=True, slots=True)
class ShardContext:
    """What a worker needs besides its shard. Is sent to other machines."""

    config: EvalConfig
    limits: RunLimits
    cache_file: Path | None


class StopSignal:
    """An actor on the cluster; once it is set, no worker starts another question."""

    def __init__(self) -> None:
        self._reason = ""
        self._is_set = asyncio.Event()

    async def set(self, reason: str) -> None:
        """Stop all workers."""
        self._reason = reason
        self._is_set.set()

    async def wait(self) -> str:
        """The reason, once it is set."""
        await self._is_set.wait()
        return self._reason


def ask_on_ray(
    address: str, samples: Sequence[Sample], context: ShardContext, run: RunWriter, on_finish: OnFinish
) -> str:
    """Ask every sample once on the cluster at ``address``; ``auto`` is the cluster of this machine, or this machine
    alone. Returns why it stopped early, or an empty text. Raises UsageError for an unknown cluster, ModelError for a
    shard that kills every worker, and a worker's error after the running questions of all workers are stored. When
    interrupted, all traces received are stored."""
    require_extra("ray", extra="ray")
    import ray

    _connect(address)
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    by_id = {sample.question.id: sample for sample in samples}
    shards = _Shards(context, ray.remote(num_cpus=0)(StopSignal).remote())

    def store(trace: Trace) -> None:
        run.add(trace)
        on_finish(by_id[trace.question.id], trace)

    pool = ThreadPoolExecutor(cpus, "shard")
    futures = [pool.submit(shards.follow, shard) for shard in split_shards(samples, cpus * SHARDS_PER_CPU)]
    try:
        while shards.num_ended < len(futures):
            shards.handle(shards.events.get(), store)
    except KeyboardInterrupt:
        while not shards.events.empty():
            shards.handle(shards.events.get(), store)
        shards.stop("interrupted")
        ray.shutdown()  # the process may end without its own cleanup
        raise
    finally:
        stop_cause = shards.stop_cause
        shards.stop("the driver has ended")
        pool.shutdown(wait=False, cancel_futures=True)
    if shards.error is not None:
        raise shards.error
    for future in futures:
        future.result()  # raises unexpected errors
    return stop_cause


def _connect(address: str) -> None:
    """Join the cluster; with ``auto``, use this machine alone if it does not belong to one."""
    import ray

    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "ignore_reinit_error": True}
    try:
        if address != "auto":
            url = urlsplit(address if "//" in address else f"//{address}")
            endpoint = url.hostname or "", url.port or 0
            socket.create_connection(endpoint, CONNECT_TIMEOUT_S).close()  # Ray itself tries for minutes
        try:
            ray.init(address, **quiet)
        except ConnectionError:
            if address != "auto":
                raise
            ray.init(include_dashboard=False, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        problem = f"no such cluster ({one_line(error, 200)}); ray start --head starts one"
        raise UsageError(f"--ray {address}: {problem}") from error


def split_shards(samples: Sequence[Sample], max_shards: int) -> Iterator[list[Sample]]:
    """At most ``max_shards`` shards of about equal size; questions about one video stay together."""
    ordered = order_by_video(samples)
    size = -(-len(ordered) // max_shards)
    shard: list[Sample] = []
    for sample in ordered:
        if len(shard) >= size and sample.video != shard[-1].video:
            yield shard
            shard = []
        shard.append(sample)
    if shard:
        yield shard


@dataclass(frozen=True, slots=True)
class _RunnerStop:
    """Why a runner stopped early."""

    reason: str


class _ShardEnd:
    """A shard has ended, successfully or not."""


Event = Trace | _RunnerStop | Exception | _ShardEnd


@dataclass
class _Shards:
    """Shards submitted to workers, each followed by a thread, and their results."""

    context: ShardContext
    stop_signal: Any
    events: queue.Queue[Event] = field(default_factory=queue.Queue)
    num_ended: int = 0
    usd: float = 0.0
    stop_cause: str = ""
    error: Exception | None = None

    def stop(self, reason: str) -> None:
        """Start no further question anywhere."""
        if not self.stop_cause:
            self.stop_cause = reason
            self.stop_signal.set.remote(reason)

    def handle(self, event: Event, store: Callable[[Trace], None]) -> None:
        """Handle what a thread reports."""
        match event:
            case _ShardEnd():
                self.num_ended += 1
            case _RunnerStop(reason):
                self.stop(reason)
            case Exception() as error:
                self.error = self.error or error
                self.stop(str(error))
            case Trace() as trace:
                store(trace)
                self.usd += trace.usage.usd
                if self.context.limits.max_run_usd is not None and self.usd >= self.context.limits.max_run_usd:
                    self.stop(f"{self.usd:.2f} dollars are spent")
            case _:
                assert_never(event)

    def follow(self, shard: Sequence[Sample]) -> None:
        """Submit a shard, report its results, and submit again what a worker that died left unfinished. Reports the end
        of the shard in any case, since the driver waits for it."""
        try:
            self._follow(shard)
        finally:
            self.events.put(_ShardEnd())

    def _follow(self, shard: Sequence[Sample]) -> None:
        import ray

        pending = dict.fromkeys(sample.question.id for sample in shard)
        task = ray.remote(max_retries=0, num_cpus=1)(ask_shard)
        for tries in range(1, MAX_TRIES + 1):
            if self.stop_cause or not pending:
                break
            try:
                stream = task.options(num_returns="streaming").remote(list(pending), self.context, self.stop_signal)
                for reference in stream:
                    result = ray.get(reference)
                    if isinstance(result, Trace):
                        pending.pop(result.question.id, None)
                    self.events.put(result)
                break
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                self.events.put(cause if isinstance(cause, LongVideoAgentError) else error)
                break
            except ray.exceptions.RayError as error:
                if tries == MAX_TRIES:
                    problem = f"{tries} workers died on one shard, the last: {error}; see the nodes' memory"
                    self.events.put(ModelError(problem))


def ask_shard(question_ids: list[str], context: ShardContext, stop_signal: Any = None) -> Iterator[Trace | _RunnerStop]:
    """In a worker: each trace as soon as it is finished, and at the end why the runner stopped early, if it did. Raises
    DataError where the worker's data set lacks one of the questions."""
    data, samples = load_samples(context.config)
    by_id = {sample.question.id: sample for sample in samples}
    missing = [question_id for question_id in question_ids if question_id not in by_id]
    if missing:
        problem = f"a worker's copy lacks {len(missing)} of the questions, {', '.join(missing[:5])} first"
        raise DataError(f"{context.config.data}: {problem}; copy the same data set to every node")
    shard = [by_id[question_id] for question_id in question_ids]
    overrides = EvalOverrides.from_config(context.config, data, shard)
    team = load_team(context.config.team_config, context.cache_file, retry_policy=RUN_RETRY_POLICY)
    sink = _QueueSink()
    runner = Runner(overrides, team, sink, context.limits, lambda *_: None)

    def ask() -> None:
        end: _RunnerStop | Exception = ModelError(
            "the runner of a shard has ended without a result; see the node's log"
        )
        try:
            end = _RunnerStop(asyncio.run(runner.ask(shard)))
        except (LongVideoAgentError, OSError) as error:
            end = error
        finally:
            sink.results.put(end)  # the worker waits for it

    threading.Thread(target=ask, daemon=True).start()
    if stop_signal is not None:
        threading.Thread(target=_stop_on_signal, args=(stop_signal, runner), daemon=True).start()
    while isinstance(result := sink.results.get(), Trace):
        yield result
    if isinstance(result, Exception):
        raise result
    if result.reason:
        yield result


def _stop_on_signal(stop_signal: Any, runner: Runner) -> None:
    """Stop the runner when the signal is set."""
    import ray

    with suppress(ray.exceptions.RayError):  # the signal's node died: each worker still has its own limits
        runner.stop(ray.get(stop_signal.wait.remote()))


class _QueueSink:
    """Queues traces until they are sent."""

    def __init__(self) -> None:
        self.results: queue.Queue[Trace | _RunnerStop | Exception] = queue.Queue()

    def add(self, trace: Trace) -> None:
        self.results.put(trace)

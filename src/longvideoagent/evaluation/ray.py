"""A run on a Ray cluster: shards of episodes as tasks, each with the same runner; one run folder at the driver.

Every finished trace is sent to the driver at once and kept there, so a worker that dies loses what was under
way and nothing else: its shard is given out again without what is finished. Where the run stops, no worker
begins another question, and what is under way comes to its end. The data set and the files that a team names
must lie at the same path on every node.
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from longvideoagent.agents.build import load_team
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.errors import DataError, LongVideoAgentError, ModelError, UsageError, one_line
from longvideoagent.evaluation.config import EvalConfig, read_asked
from longvideoagent.evaluation.overrides import EvalOverrides
from longvideoagent.evaluation.runner import DEFAULT_RETRY_POLICY, OnFinish, RunLimits, Runner
from longvideoagent.evaluation.store import RunFolder

SHARDS_PER_CPU = 4
"""Small enough that the last shard to end is not waited for long."""
CONNECT_S = 5.0
MOST_TRIES = 5
"""Workers that may die on one shard."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs to know. Travels to other machines."""

    protocol: EvalConfig
    bounds: RunLimits
    cache: Path | None


class StopSignal:
    """Lives on the cluster and tells all workers when to begin no further question."""

    def __init__(self) -> None:
        self._reason = ""
        self._pulled = asyncio.Event()

    async def pull(self, reason: str) -> None:
        """Stop all workers."""
        self._reason = reason
        self._pulled.set()

    async def wait(self) -> str:
        """The reason, once it is pulled."""
        await self._pulled.wait()
        return self._reason


def ask_on_ray(address: str, samples: Sequence[Sample], work: Work, run: RunFolder, on_finish: OnFinish) -> str:
    """Ask every sample once on the cluster at ``address``; ``auto`` is the one that this machine belongs to, or
    else this machine alone. Returns why it stopped early; empty where it did not. Raises UsageError where there
    is no such cluster, ModelError where one shard kills every worker, and what a worker raises, when all that was
    under way is kept. Interrupted, it has kept all that had come in."""
    if find_spec("ray") is None:
        raise UsageError("ray is not installed; pip install 'longvideoagent[ray]'")
    import ray

    _connect(address)
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = {sample.question.id: sample for sample in samples}
    shards = _Shards(work, ray.remote(num_cpus=0)(StopSignal).remote())

    def keep(trace: Trace) -> None:
        run.add(trace)
        on_finish(waiting[trace.question.id], trace)

    pool = ThreadPoolExecutor(cpus, "shard")
    given = [pool.submit(shards.follow, shard) for shard in cut(samples, cpus * SHARDS_PER_CPU)]
    try:
        while shards.ended < len(given):
            shards.take(shards.told.get(), keep)
    except KeyboardInterrupt:
        while not shards.told.empty():
            shards.take(shards.told.get(), keep)
        shards.stop("interrupted")
        ray.shutdown()  # the process may be ended without its own clearing up
        raise
    finally:
        stopped = shards.stopped
        shards.stop("nobody waits for it")
        pool.shutdown(wait=False, cancel_futures=True)
    if shards.error is not None:
        raise shards.error
    for followed in given:
        followed.result()  # raises what nobody foresaw
    return stopped


def _connect(address: str) -> None:
    """Join the cluster; with ``auto``, this machine alone where it belongs to none."""
    import ray

    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "ignore_reinit_error": True}
    try:
        if address != "auto":
            place = urlsplit(address if "//" in address else f"//{address}")
            where = place.hostname or "", place.port or 0
            socket.create_connection(where, CONNECT_S).close()  # Ray itself tries for minutes
        try:
            ray.init(address, **quiet)
        except ConnectionError:
            if address != "auto":
                raise
            ray.init(include_dashboard=False, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        told = f"no such cluster ({one_line(error, 200)}); ray start --head begins one"
        raise UsageError(f"--ray {address}: {told}") from error


def cut(samples: Sequence[Sample], most: int) -> Iterator[list[Sample]]:
    """At most so many shards of about equal size; the questions of an episode stay together."""
    ordered = order_by_video(samples)
    size = -(-len(ordered) // most)
    shard: list[Sample] = []
    for sample in ordered:
        if len(shard) >= size and sample.video != shard[-1].video:
            yield shard
            shard = []
        shard.append(sample)
    if shard:
        yield shard


@dataclass
class _Shards:
    """Shards given out to workers, each followed by a thread, and what comes of them."""

    work: Work
    brake: Any
    told: queue.Queue[Trace | str | Exception | None] = field(default_factory=queue.Queue)
    """Traces, why a worker stopped, what it raised, and None where a shard has come to its end."""
    ended: int = 0
    usd: float = 0.0
    stopped: str = ""
    error: Exception | None = None

    def stop(self, reason: str) -> None:
        """Begin no further question anywhere."""
        if not self.stopped:
            self.stopped = reason
            self.brake.pull.remote(reason)

    def take(self, told: Trace | str | Exception | None, keep: Callable[[Trace], None]) -> None:
        """Take note of what a thread tells."""
        match told:
            case None:
                self.ended += 1
            case str(reason):
                self.stop(reason)
            case Exception() as error:
                self.error = self.error or error
                self.stop(str(error))
            case trace:
                keep(trace)
                self.usd += trace.usage.usd
                if self.work.bounds.max_usd is not None and self.usd >= self.work.bounds.max_usd:
                    self.stop(f"{self.usd:.2f} dollars are spent")

    def follow(self, shard: Sequence[Sample]) -> None:
        """Hand out a shard, pass on what comes of it, and hand out again what a worker that died left undone. Tells
        that the shard has come to its end whatever happens, since the driver waits for that."""
        try:
            self._follow(shard)
        finally:
            self.told.put(None)

    def _follow(self, shard: Sequence[Sample]) -> None:
        import ray

        owed = dict.fromkeys(sample.question.id for sample in shard)
        task = ray.remote(max_retries=0, num_cpus=1)(ask_shard)
        for tries in range(1, MOST_TRIES + 1):
            if self.stopped or not owed:
                break
            try:
                for reference in task.options(num_returns="streaming").remote(list(owed), self.work, self.brake):
                    result = ray.get(reference)
                    if isinstance(result, Trace):
                        owed.pop(result.question.id, None)
                    self.told.put(result)
                break
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                self.told.put(cause if isinstance(cause, LongVideoAgentError) else error)
                break
            except ray.exceptions.RayError as error:
                if tries == MOST_TRIES:
                    told = f"{tries} workers died on one shard, the last: {error}; see the nodes' memory"
                    self.told.put(ModelError(told))


def ask_shard(names: list[str], work: Work, brake: Any = None) -> Iterator[Trace | str]:
    """In a worker: each trace as soon as it is finished, and in the end why the runner stopped early, if so.
    Raises DataError where the worker's data set lacks one of the questions."""
    data, samples = read_asked(work.protocol)
    known = {sample.question.id: sample for sample in samples}
    missing = [name for name in names if name not in known]
    if missing:
        lacks = f"a worker's copy lacks {len(missing)} of the questions, {', '.join(missing[:5])} first"
        raise DataError(f"{work.protocol.data}: {lacks}; copy the same data set to every node")
    shard = [known[name] for name in names]
    switches = EvalOverrides.of(work.protocol, data, shard)
    team = load_team(work.protocol.team_config, work.cache, retry_policy=DEFAULT_RETRY_POLICY)
    sink = _Sink()
    runner = Runner(switches, team, sink, work.bounds, lambda *_: None)

    def ask() -> None:
        try:
            sink.told.put(asyncio.run(runner.ask(shard)))
        except (LongVideoAgentError, OSError) as error:
            sink.told.put(error)

    threading.Thread(target=ask, daemon=True).start()
    if brake is not None:
        threading.Thread(target=_stop_on_signal, args=(brake, runner), daemon=True).start()
    while isinstance(told := sink.told.get(), Trace):
        yield told
    if isinstance(told, Exception):
        raise told
    if told:
        yield told


def _stop_on_signal(brake: Any, runner: Runner) -> None:
    """Stop the runner when the brake is pulled."""
    import ray

    with suppress(ray.exceptions.RayError):  # the brake's node died: each worker still has its own bounds
        runner.stop(ray.get(brake.wait.remote()))


class _Sink:
    """Keeps traces until they are sent on."""

    def __init__(self) -> None:
        self.told: queue.Queue[Trace | str | Exception] = queue.Queue()

    def add(self, trace: Trace) -> None:
        self.told.put(trace)

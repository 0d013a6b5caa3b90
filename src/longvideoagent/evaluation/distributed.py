"""A run on a Ray cluster: shards of episodes as tasks, each with the same runner; one run folder at the driver.

Every finished trace is sent to the driver at once and kept there, so a worker that dies loses what was under
way and nothing else: its shard is given out again without what is finished. The data set and the files that
a team names must lie at the same path on every node.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from longvideoagent.agents.load import load_team
from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import LongVideoAgentError, ModelError, UsageError, one_line
from longvideoagent.evaluation.config import EvalProtocol, read_asked
from longvideoagent.evaluation.runner import PATIENCE, Bounds, OnFinish, Runner, by_episode
from longvideoagent.evaluation.store import RunFolder
from longvideoagent.evaluation.switches import Switches
from longvideoagent.trace import Trace

SHARDS_PER_CPU = 4
"""Small enough that the last shard to end is not waited for long."""
CONNECT_S = 5.0
MOST_TRIES = 5
"""Workers that may die on one shard."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs to know. Travels to other machines."""

    protocol: EvalProtocol
    bounds: Bounds
    cache: Path | None


def ask_on_ray(address: str, samples: Sequence[Sample], work: Work, run: RunFolder, on_finish: OnFinish) -> str:
    """Ask every sample once on the cluster at ``address``; ``auto`` is the one that this machine belongs to, or
    else this machine alone. Returns why it stopped early; empty where it did not. Raises UsageError where there
    is no such cluster, and ModelError where one shard kills every worker."""
    if find_spec("ray") is None:
        raise UsageError("ray is not installed; pip install 'longvideoagent[ray]'")
    import ray

    _connect(address)
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = {sample.question.id: sample for sample in samples}
    done: queue.Queue[Trace | str | Exception | None] = queue.Queue()
    stop = threading.Event()
    pool = ThreadPoolExecutor(cpus, "shard")
    shards = list(cut(samples, cpus * SHARDS_PER_CPU))
    for shard in shards:
        pool.submit(_follow, [sample.question.id for sample in shard], work, done, stop)
    stopped, left, usd = "", len(shards), 0.0
    try:
        while left:
            match done.get():
                case None:
                    left -= 1
                case Exception() as error:
                    raise error
                case str(reason):
                    stopped = stopped or reason
                    stop.set()
                case trace:
                    run.add(trace)
                    on_finish(waiting[trace.question.id], trace)
                    usd += trace.usage.usd
                    if work.bounds.max_usd is not None and usd >= work.bounds.max_usd and not stopped:
                        stopped = f"{usd:.2f} dollars are spent"
                        stop.set()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
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
    ordered = by_episode(samples)
    size = -(-len(ordered) // most)
    shard: list[Sample] = []
    for sample in ordered:
        if len(shard) >= size and sample.video != shard[-1].video:
            yield shard
            shard = []
        shard.append(sample)
    if shard:
        yield shard


def _follow(
    names: list[str], work: Work, done: queue.Queue[Trace | str | Exception | None], stop: threading.Event
) -> None:
    """Hand out a shard, pass on what comes of it, and hand out again what a worker that died left undone."""
    import ray

    owed = dict.fromkeys(names)
    task = ray.remote(max_retries=0, num_cpus=1)(ask_shard)
    for tries in range(1, MOST_TRIES + 1):
        if stop.is_set() or not owed:
            break
        told = task.options(num_returns="streaming").remote(list(owed), work)
        try:
            for reference in told:
                result = ray.get(reference)
                if isinstance(result, Trace):
                    owed.pop(result.question.id, None)
                done.put(result)
                if stop.is_set():
                    ray.cancel(told, force=True)
                    break
            else:
                break
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            done.put(cause if isinstance(cause, LongVideoAgentError) else error)
            break
        except ray.exceptions.RayError as error:
            if tries == MOST_TRIES and not stop.is_set():
                done.put(ModelError(f"{tries} workers died on one shard, the last: {error}; see the nodes' memory"))
    done.put(None)


def ask_shard(names: list[str], work: Work) -> Iterator[Trace | str]:
    """In a worker: each trace as soon as it is finished, and in the end why the runner stopped early, if so."""
    data, samples = read_asked(work.protocol)
    wanted = set(names)
    shard = [sample for sample in samples if sample.question.id in wanted]
    switches = Switches.of(work.protocol, data, shard)
    team = load_team(work.protocol.roster, work.cache, patience=PATIENCE)
    sink = _Sink()
    runner = Runner(switches, team, sink, work.bounds, lambda *_: None)

    def ask() -> None:
        try:
            sink.told.put(asyncio.run(runner.ask(shard)))
        except (LongVideoAgentError, OSError) as error:
            sink.told.put(error)

    threading.Thread(target=ask, daemon=True).start()
    while isinstance(told := sink.told.get(), Trace):
        yield told
    if isinstance(told, Exception):
        raise told
    if told:
        yield told


class _Sink:
    """Keeps traces until they are sent on."""

    def __init__(self) -> None:
        self.told: queue.Queue[Trace | str | Exception] = queue.Queue()

    def add(self, trace: Trace) -> None:
        self.told.put(trace)
